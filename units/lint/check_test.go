package lint_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

// install writes rendered units where packages install them, below a root.
func install(t *testing.T, s units.Service) (root string) {
	t.Helper()
	files, err := s.Render(252)
	if err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	for _, f := range files {
		write(t, filepath.Join(root, f.Path), f.Text)
	}
	return root
}

func rules(findings []lint.Finding) []string {
	var ids []string
	for _, f := range findings {
		ids = append(ids, f.Rule)
	}
	return ids
}

// TestUnitNames looks units up as a manager does, with their drop-ins.
func TestUnitNames(t *testing.T) {
	root := install(t, hello())
	dropIn := filepath.Join(root, "etc/systemd/system/hello.service.d/kill.conf")
	write(t, dropIn, "# mine\n[Service]\nKillMode=none\n")
	write(t, filepath.Join(root, "etc/systemd/system/socket.d/all.conf"), "[Socket]\nFlushPending=yes\n")
	for _, args := range [][]string{{"hello"}, {"hello.service"}, {"hello.socket"}, {"hello", "hello.socket"}} {
		findings := check(t, lint.Options{Root: root}, args...)
		if got := rules(findings); !slices.Equal(got, []string{"kill-mode", "flush-pending"}) {
			t.Fatalf("%v: %s", args, list(findings))
		}
		if f := findings[0]; f.Path != dropIn || f.Line != 3 || f.Unit != "hello.service" {
			t.Errorf("%v: %s", args, f)
		}
	}
}

// TestNamesBelowRoot has a bare name be a unit's below a root, whatever lies in
// the working folder, and a file without a root.
func TestNamesBelowRoot(t *testing.T) {
	root := install(t, hello())
	t.Chdir(t.TempDir())
	write(t, "hello.service", "[Service]\nExecStart=/usr/bin/hello\nKillMode=none\n")
	if findings := check(t, lint.Options{Root: root}, "hello.service"); len(findings) > 0 {
		t.Errorf("below the root:\n%s", list(findings))
	}
	if got := rules(check(t, lint.Options{}, "hello.service")); !slices.Contains(got, "kill-mode") {
		t.Errorf("without a root: %v", got)
	}
	// The program itself lies there, too.
	write(t, "hello", "#!/bin/sh\n")
	if _, err := lint.Check(lint.Options{}, "hello"); errors.Is(err, lint.ErrKind) {
		t.Errorf("hello is the name of a unit: %v", err)
	}
}

// TestUserUnits are looked up in the folders of the user.
func TestUserUnits(t *testing.T) {
	s := hello()
	s.Scope = units.User
	root := install(t, s)
	if findings := check(t, lint.Options{Root: root, Scope: units.User}, "hello"); len(findings) > 0 {
		t.Error(list(findings))
	}
	if _, err := lint.Check(lint.Options{Root: root}, "hello"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the system's manager: %v", err)
	}
}

// TestSocketsByService finds a socket by the Service= in it, and its service by
// a socket alone.
func TestSocketsByService(t *testing.T) {
	s := hello()
	twoSockets(&s)
	s.Sockets[1].Settings = []units.Setting{{Section: "Socket", Name: "FlushPending", Value: "yes"}}
	paths := render(t, s, 252)
	unlist := func(path string) {
		write(t, path, strings.Replace(read(t, path), "Sockets=hello.socket hello-admin.socket\n", "Sockets=hello.socket\n", 1))
	}
	unlist(paths[0])
	want := []string{"flush-pending", "sockets-unlisted", "unit-hash"}
	for _, args := range [][]string{{paths[0]}, {paths[2]}, {paths[1]}, {paths[2], paths[0], paths[1]}} {
		if got := rules(check(t, lint.Options{}, args...)); !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", args, got, want)
		}
	}
	root := install(t, s)
	unlist(root + "/usr/lib/systemd/system/hello.service")
	for _, arg := range []string{"hello", "hello-admin.socket"} {
		if got := rules(check(t, lint.Options{Root: root}, arg)); !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", arg, got, want)
		}
	}
}

// TestInstances lints an instance by the file of its template.
func TestInstances(t *testing.T) {
	s := hello()
	template(&s)
	root := install(t, s)
	for _, arg := range []string{"hello@one.service", "hello@one", "hello@.service", "hello@two.socket"} {
		if findings := check(t, lint.Options{Root: root}, arg); len(findings) > 0 {
			t.Errorf("%s: %s", arg, list(findings))
		}
	}
}

// TestLoneSocket is linted by itself where its service is not there.
func TestLoneSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "a.socket")
	write(t, socket, "[Socket]\nListenStream=80\nFileDescriptorName=a\nAccept=yes\n")
	if got := rules(check(t, lint.Options{}, socket)); !slices.Equal(got, []string{"socket-install", "accept"}) {
		t.Error(got)
	}
}

// TestBadArguments names each, and does not hide what was found in the others.
func TestBadArguments(t *testing.T) {
	root := install(t, hello())
	write(t, filepath.Join(root, "etc/systemd/system/hello.service.d/a.conf"), "[Service]\nKillMode=none\n")
	write(t, filepath.Join(root, "etc/systemd/system/empty.service"), "")
	if err := os.Symlink("/dev/null", filepath.Join(root, "etc/systemd/system/gone.service")); err != nil {
		t.Fatal(err)
	}
	nowhere := filepath.Join(root, "nowhere.service")
	args := []string{"nobody", "hello", "gone", "empty.service", "hello.timer", nowhere, "Makefile/x", "a b"}
	findings, err := lint.Check(lint.Options{Root: root}, args...)
	if got := rules(findings); !slices.Equal(got, []string{"kill-mode"}) {
		t.Error(got)
	}
	for _, sentinel := range []error{fs.ErrNotExist, lint.ErrMasked, lint.ErrKind, fs.ErrInvalid} {
		if !errors.Is(err, sentinel) {
			t.Errorf("%v does not match %v", err, sentinel)
		}
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(args)-1 {
		t.Fatalf("%d errors:\n%v", len(lines), err)
	}
	for i, arg := range slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == "hello" }) {
		if !strings.HasPrefix(lines[i], arg+": ") && !strings.HasPrefix(lines[i], arg+".service: ") {
			t.Errorf("%q does not name %s", lines[i], arg)
		}
	}
}

// TestIgnore silences a rule for a unit, and no other.
func TestIgnore(t *testing.T) {
	b := breach{rule: "kill-mode", service: "[Service]\nKillMode=none\nSendSIGHUP=yes\n[Unit]\nX-Heirloom-Ignore=kill-mode accept",
		socket: "[Socket]\nAccept=yes"}
	paths := b.write(t)
	if got := rules(check(t, lint.Options{}, paths...)); !slices.Equal(got, []string{"send-sighup", "accept"}) {
		t.Error(got)
	}
	// What is silenced elsewhere may be silenced by a drop-in.
	write(t, paths[0]+".d/quiet.conf", "[Service]\nX-Heirloom-Ignore=send-sighup\n")
	if got := rules(check(t, lint.Options{}, paths...)); !slices.Equal(got, []string{"accept"}) {
		t.Error(got)
	}
}

// TestDescribes lints units against a description that promises more than they
// hold.
func TestDescribes(t *testing.T) {
	s := hello()
	s.Memory, s.Tasks = 100<<20, 100
	paths := render(t, s, 252)
	twoSockets(&s)
	s.StopTimeout, s.ReloadTimeout, s.Memory, s.Tasks = 1000000000*200, 1000000000*60, 200<<20, 200
	got := rules(check(t, lint.Options{Daemon: lint.Describes(s)}, paths...))
	slices.Sort(got)
	if want := []string{"memory-max", "socket-names", "tasks-max", "timeout-start", "timeout-stop"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestRules has all that a rule must say.
func TestRules(t *testing.T) {
	all := lint.Rules()
	for i, r := range all {
		if i > 0 && r.ID <= all[i-1].ID {
			t.Errorf("%s comes after %s", r.ID, all[i-1].ID)
		}
		if r.Title == "" || r.Why == "" || r.Bad == "" || r.Good == "" || r.Reference == "" || r.Shown == (r.Unshown != "") {
			t.Errorf("%s lacks something: %+v", r.ID, r)
		}
		if !slices.Contains([]lint.Severity{lint.Error, lint.Warning, lint.Note}, r.Severity) {
			t.Errorf("%s: severity %q", r.ID, r.Severity)
		}
		if explained, err := lint.Explain(r.ID); err != nil || explained != r {
			t.Errorf("%s: %v, %v", r.ID, explained, err)
		}
	}
	if _, err := lint.Explain("kill-mood"); !errors.Is(err, lint.ErrUnknownRule) || !strings.Contains(err.Error(), "kill-mood") {
		t.Error(err)
	}
}

func TestKnownSettings(t *testing.T) {
	known := lint.KnownSettings()
	for _, want := range []struct {
		section, name string
		since         int
	}{
		{"Service", "KillMode", 252}, {"Service", "ExecReloadPost", 259}, {"Service", "PrivatePIDs", 257}, {"Socket", "PollLimitBurst", 255},
		{"Unit", "StartLimitBurst", 252}, {"Install", "Also", 252}, {"Service", "Backlog", 0},
	} {
		if got := known[want.section][want.name]; got != want.since {
			t.Errorf("[%s] %s: since %d, want %d", want.section, want.name, got, want.since)
		}
	}
	for section, names := range known {
		for name, since := range names {
			if since < 252 || since > 262 {
				t.Errorf("[%s] %s: since %d", section, name, since)
			}
		}
	}
}
