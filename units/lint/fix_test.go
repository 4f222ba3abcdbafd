package lint_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

const vendor = "/usr/lib/systemd/system"

// install writes the units of a breach below a root, as a package does.
func (b breach) install(t *testing.T) (root string, names []string) {
	t.Helper()
	root = t.TempDir()
	for _, path := range b.write(t) {
		name := filepath.Base(path)
		names = append(names, name)
		write(t, filepath.Join(root, vendor, name), read(t, path))
	}
	return root, names
}

func fix(t *testing.T, o lint.Options, args ...string) lint.Plan {
	t.Helper()
	plan, err := lint.Fix(o, args...)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func apply(t *testing.T, plan lint.Plan) {
	t.Helper()
	for _, in := range plan.DropIns {
		write(t, in.Path, in.New)
	}
}

func serious(findings []lint.Finding) []lint.Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f lint.Finding) bool { return f.Severity == lint.Note })
}

func isOf(rule string) func(lint.Finding) bool {
	return func(f lint.Finding) bool { return f.Rule == rule }
}

// byHand are the rules that Fix leaves to somebody, and stuck those whose lines
// no drop-in takes back.
var (
	byHand = []string{
		"accept", "bound-program", "dynamic-user", "environment-reserved", "exec-paths", "exec-start-several", "exec-start-wrapper",
		"fd-name", "hidden-run", "instance-address", "pam-name", "private-network", "same-address", "socket-in-runtime-directory",
		"socket-install", "socket-names", "socket-service", "sockets-missing", "unit-hash", "working-directory",
	}
	stuck = []string{"invalid-value", "newer-setting", "socket-part-of", "syntax", "unknown-setting", "wrong-section"}
)

// TestFix has a drop-in for each breach after which its rule finds nothing, or
// a reason why there is none; and nothing else is found that was not before.
func TestFix(t *testing.T) {
	for _, b := range slices.Concat(examples(), breaches()) {
		t.Run(b.name(), func(t *testing.T) {
			t.Parallel()
			root, names := b.install(t)
			var texts []string
			for _, name := range names {
				texts = append(texts, read(t, filepath.Join(root, vendor, name)))
			}
			b.options.Root = root
			found := check(t, b.options, names[0])
			plan := fix(t, b.options, names[0])
			apply(t, plan)
			after := check(t, b.options, names[0])
			b.judgeFix(t, found, after, plan)
			for i, name := range names {
				if read(t, filepath.Join(root, vendor, name)) != texts[i] {
					t.Errorf("%s itself has changed", name)
				}
			}
			if again := fix(t, b.options, names[0]); len(again.DropIns) > 0 {
				t.Errorf("a second time there is more to do: %+v", again.DropIns)
			}
		})
	}
}

func (b breach) judgeFix(t *testing.T, found, after []lint.Finding, plan lint.Plan) {
	t.Helper()
	i := slices.IndexFunc(found, isOf(b.rule))
	fixed := !slices.ContainsFunc(after, isOf(b.rule))
	kept := slices.Contains(byHand, b.rule) || slices.Contains(stuck, b.rule) || strings.Contains(b.name(), " -c ") && b.rule != "exec-start-shell" ||
		found[i].Severity == lint.Note || found[i].Use == "" && !found[i].Remove
	kept = kept && !slices.Contains(b.also, "sockets-unlisted") // whose remedy starts the socket
	if fixed == kept {
		t.Errorf("fixed: %v, want %v, with\n%+v\nleft:\n%s", fixed, !kept, plan.DropIns, list(after))
	}
	for _, f := range serious(after) {
		if !slices.ContainsFunc(found, isOf(f.Rule)) {
			t.Errorf("this is new: %s", f)
		}
	}
	if len(plan.Left) != len(after) {
		t.Errorf("%d findings are said to be left, and %d are", len(plan.Left), len(after))
	}
	for _, left := range plan.Left {
		if left.Reason == "" {
			t.Errorf("left without a reason: %s", left.Finding)
		}
	}
	for _, in := range plan.DropIns {
		for _, change := range in.Changes {
			for _, f := range change.Findings {
				if strings.Contains(f.Path, "planned") || f.Severity == lint.Note {
					t.Errorf("changed for %s", f)
				}
			}
		}
	}
}

// web is a unit as many are, with three kinds of lists.
const web = `[Service]
ExecStart=/usr/bin/web -v
ExecReload=/usr/bin/web check
ExecReload=/bin/kill -HUP $MAINPID
RestartPreventExitStatus=1 2 3
Restart=on-failure
FileDescriptorStoreMax=64
Type=notify
RuntimeDirectory=web
StartLimitInterval=0
`

const planned = `# Made by heirloom-units lint -fix.
# What each line is for: heirloom-units explain RULE
# To undo it: remove the file, and systemctl daemon-reload

[Service]
# exec-reload-signal: all lines of the setting, in place of those in other files
ExecReload=
ExecReload=/usr/bin/web check
ExecReload=/usr/bin/web reload
# restart-prevent: all lines of the setting, in place of those in other files
RestartPreventExitStatus=
RestartPreventExitStatus=3
`

func TestFixText(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, vendor, "web.service"), web)
	plan := fix(t, lint.Options{Root: root}, "web")
	want := filepath.Join(root, "/etc/systemd/system/web.service.d/zz-heirloom.conf")
	if len(plan.DropIns) != 1 || plan.DropIns[0].Path != want || plan.DropIns[0].New != planned || plan.DropIns[0].Old != "" {
		t.Fatalf("%+v", plan)
	}
	if changes := plan.DropIns[0].Changes; len(changes) != 2 || len(changes[1].Findings) != 2 || changes[1].Findings[1].Value != "1 2 3" {
		t.Errorf("%+v", changes)
	}
	// What was planned stays, and gets more.
	apply(t, plan)
	write(t, filepath.Join(root, vendor, "web.service"), web+"KillMode=none\n")
	plan = fix(t, lint.Options{Root: root}, "web")
	if len(plan.DropIns) != 1 || plan.DropIns[0].Old != planned || plan.DropIns[0].New != planned+"\n[Service]\n# kill-mode\nKillMode=control-group\n" {
		t.Fatalf("%+v", plan)
	}
}

// A drop-in has to come after all others, and nobody else's is written over.
func TestFixPlace(t *testing.T) {
	for _, tt := range []struct{ others, want string }{
		{"override.conf", "zz-heirloom.conf"},
		{"zz-heirloom.conf", "zzz-heirloom.conf"},
		{"zzz.conf", "zzzz-heirloom.conf"},
	} {
		root := t.TempDir()
		write(t, filepath.Join(root, vendor, "web.service"), web)
		write(t, filepath.Join(root, "/etc/systemd/system/service.d", tt.others), "[Service]\nKillMode=none\n")
		write(t, filepath.Join(root, "/etc/systemd/system/web.service.d", tt.others), "[Service]\nKillMode=none\n")
		plan := fix(t, lint.Options{Root: root}, "web")
		if len(plan.DropIns) != 1 || filepath.Base(plan.DropIns[0].Path) != tt.want {
			t.Errorf("beside %s: %+v", tt.others, plan)
			continue
		}
		apply(t, plan)
		if left := serious(check(t, lint.Options{Root: root}, "web")); len(left) > 0 {
			t.Errorf("beside %s:\n%s", tt.others, list(left))
		}
	}
	root := t.TempDir()
	write(t, filepath.Join(root, vendor, "web.service"), web)
	write(t, filepath.Join(root, "/etc/systemd/system/web.service.d/~.conf"), "[Service]\nKillMode=none\n")
	if plan, err := lint.Fix(lint.Options{Root: root}, "web"); err == nil {
		t.Errorf("after ~.conf: %+v", plan)
	}
}

// Which of the instances it is for says the name.
func TestFixInstances(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, vendor, "web@.service"), strings.Replace(web, "=web\n", "=web-%i\n", 1))
	for _, name := range []string{"web@.service", "web@one.service"} {
		plan := fix(t, lint.Options{Root: root}, name)
		if len(plan.DropIns) != 1 || filepath.Base(filepath.Dir(plan.DropIns[0].Path)) != name+".d" {
			t.Errorf("%s: %+v", name, plan)
		}
	}
}

// A user's drop-ins are in the user's own folder.
func TestFixUser(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	write(t, filepath.Join(home, ".config/systemd/user/web.service"), web)
	plan := fix(t, lint.Options{Scope: units.User}, "web")
	if len(plan.DropIns) != 1 || plan.DropIns[0].Path != filepath.Join(home, ".config/systemd/user/web.service.d/zz-heirloom.conf") {
		t.Errorf("%+v", plan)
	}
}

// A sub-command may belong to the command that reloads, and a script may do
// more than a signal.
func TestFixJudgement(t *testing.T) {
	for _, tt := range []struct {
		name, start, reload string
		args                []string // of a reload
		want                string   // "" if it is left
	}{
		{"sub-command", "/usr/bin/web serve", "kill -HUP $MAINPID", nil, ""},
		{"sub-command that is known", "/usr/bin/web serve", "kill -HUP $MAINPID", []string{"serve", "re load"}, `ExecReload=/usr/bin/web serve "re load"`},
		{"sub-command behind env", "/usr/bin/env A=1 /usr/bin/web serve", "kill -HUP $MAINPID", nil, ""},
		{"script", "/usr/bin/web", "/bin/sh -c 'web check && kill -HUP $MAINPID'", nil, ""},
		{"none", "/usr/bin/web", "kill -HUP $MAINPID", nil, "ExecReload=/usr/bin/web reload"},
	} {
		root := t.TempDir()
		text := strings.Replace(web, "/usr/bin/web -v\nExecReload=/usr/bin/web check\n", tt.start+"\n", 1)
		write(t, filepath.Join(root, vendor, "web.service"), strings.Replace(text, "/bin/kill -HUP $MAINPID", tt.reload, 1))
		plan := fix(t, lint.Options{Root: root, Only: []string{"exec-reload-signal"}, Daemon: lint.Daemon{ReloadArgs: tt.args}}, "web")
		if tt.want == "" && (len(plan.DropIns) != 0 || len(plan.Left) != 1) ||
			tt.want != "" && (len(plan.DropIns) != 1 || !strings.Contains(plan.DropIns[0].New, "\n"+tt.want+"\n")) {
			t.Errorf("%s: %+v", tt.name, plan)
		}
	}
}

// What is put right is the word that was found, also where it is a part of
// another or is quoted; and there is an end, whatever comes of it.
func TestFixWords(t *testing.T) {
	for _, tt := range []struct{ unit, text, want string }{
		{"web@.service", "ExecStart=/usr/bin/web\nRuntimeDirectory=web-data web\n", "RuntimeDirectory=web-data-%i web-%i"},
		{"web.service", `ExecStart=/bin/sh -c "/usr/bin/web -name \"a b\""` + "\n", `ExecStart=/bin/sh -c "exec /usr/bin/web -name \"a b\""`},
		{"web.service", "ExecStart=/usr/bin/web\nSuccessExitStatus=143 1\n", "SuccessExitStatus=143"},
		{"web.service", "ExecStart=/usr/bin/web\nSystemCallFilter=~@process @clock\nSystemCallFilter=~@process\n", "SystemCallFilter=~@clock"},
	} {
		root := t.TempDir()
		write(t, filepath.Join(root, vendor, tt.unit), "[Service]\nRestart=on-failure\n"+tt.text)
		only := []string{"runtime-directory-shared", "exec-start-shell", "restart-prevent", "system-calls"}
		plan := fix(t, lint.Options{Root: root, Only: only}, tt.unit)
		if len(plan.DropIns) != 1 || !strings.HasSuffix(plan.DropIns[0].New, "\n"+tt.want+"\n") || len(plan.Left) > 0 {
			t.Errorf("%s:\n%+v", tt.text, plan)
		}
	}
}

// What cannot be linted is not put right either, nor half of it.
func TestFixErrors(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, vendor, "web.service"), web)
	write(t, filepath.Join(root, vendor, "masked.service"), "")
	path := filepath.Join(root, vendor, "web.service")
	for _, tt := range []struct {
		options lint.Options
		args    []string
		want    error
	}{
		{lint.Options{Root: root}, []string{"web", "nowhere"}, os.ErrNotExist},
		{lint.Options{Root: root}, []string{"web", "masked"}, lint.ErrMasked},
		{lint.Options{Root: root}, []string{"web", "web.timer"}, lint.ErrKind},
		{lint.Options{Root: root, Only: []string{"nothing"}}, []string{"web"}, lint.ErrUnknownRule},
		{lint.Options{}, []string{path}, lint.ErrNoUnit},
	} {
		plan, err := lint.Fix(tt.options, tt.args...)
		if !errors.Is(err, tt.want) || len(plan.DropIns)+len(plan.Left) > 0 {
			t.Errorf("%v: %v, %+v", tt.args, err, plan)
		}
	}
}

// Other rules are neither found nor put right.
func TestOnly(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, vendor, "web.service"), web+"KillMode=none\n")
	o := lint.Options{Root: root, Only: []string{"kill-mode"}}
	if found := check(t, o, "web"); len(found) != 1 || found[0].Rule != "kill-mode" {
		t.Errorf("%s", list(found))
	}
	if plan := fix(t, o, "web"); len(plan.DropIns) != 1 || strings.Contains(plan.DropIns[0].New, "ExecReload") || len(plan.Left) > 0 {
		t.Errorf("%+v", plan)
	}
}
