package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// heirloomUnits runs the command and returns its exit code and what it has
// written.
func heirloomUnits(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, console{strings.NewReader(""), &out, &errs})
	return code, out.String(), errs.String()
}

func must(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := heirloomUnits(t, args...)
	if code != 0 || stderr != "" {
		t.Fatalf("%q: exit %d: %s", args, code, stderr)
	}
	return stdout
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// The issue's own line, and what lint says of it: nothing.
func TestRenderedIsClean(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "units")
	out := must(t, "render", "-name", "hello", "-exec", "/usr/bin/hello", "-socket", "http=0.0.0.0:8080", "-stop", "20s", "-out", dir)
	service, socket := filepath.Join(dir, "hello.service"), filepath.Join(dir, "hello.socket")
	if want := service + "\n" + socket + "\n"; out != want {
		t.Errorf("printed %q, want %q", out, want)
	}
	for path, line := range map[string]string{service: "TimeoutStopSec=20s", socket: "ListenStream=0.0.0.0:8080"} {
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("%s: %v, no %s in\n%s", path, err, line, text)
		}
	}
	if out := must(t, "lint", "-strict", service); out != "" {
		t.Errorf("lint says %s", out)
	}
}

const spec = `[Service]
Name=hello
Program=/usr/bin/hello
User=hello
StopTimeout=20s
ReadWritePaths=/srv/hello

[Socket]
Name=http
Addresses=:8080

[Package]
Maintainer=Jane Doe <jane@example.org>
Summary=greets
Binary=build/hello
`

func TestRenderPlaces(t *testing.T) {
	path := writeFile(t, "hello.heirloom", spec)
	printed := must(t, "render", "-spec", path)
	for _, header := range []string{
		"# /usr/lib/systemd/system/hello.service", "# /usr/lib/systemd/system/hello.socket",
		"# /usr/lib/sysusers.d/hello.conf", "# /usr/lib/tmpfiles.d/hello.conf",
	} {
		if !strings.Contains(printed, header+"\n") {
			t.Errorf("no %q in\n%s", header, printed)
		}
	}
	dir := t.TempDir()
	must(t, "render", "-spec", path, "-out", dir)
	must(t, "render", "-spec", path, "-root", filepath.Join(dir, "root"))
	for _, name := range []string{
		"hello.service", "hello.socket", "hello.sysusers", "hello.tmpfiles",
		"root/usr/lib/systemd/system/hello.service", "root/usr/lib/sysusers.d/hello.conf", "root/usr/lib/tmpfiles.d/hello.conf",
	} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != 0o644 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Times are those of units and of Go.
func TestTimes(t *testing.T) {
	path := writeFile(t, "hello.heirloom", spec)
	for value, want := range map[string]string{"20": "20s", "7s": "7s", "1m30s": "90s", "1min 30s": "90s", "1h0m0s": "1h", "1500ms": "1500ms"} {
		if out := must(t, "render", "-spec", path, "-stop", value); !strings.Contains(out, "\nTimeoutStopSec="+want+"\n") {
			t.Errorf("-stop %q is not %s in\n%s", value, want, out)
		}
	}
	must(t, "lint", "-drain", "20", "-strict", filepath.Join(renderInto(t, "-stop", "1min"), "hello.service"))
	if code, _, _ := heirloomUnits(t, "lint", "-drain", "61", filepath.Join(renderInto(t, "-stop", "1min"), "hello.service")); code != exitFindings {
		t.Errorf("-drain 61: exit %d", code)
	}
}

// renderInto renders hello into a folder.
func renderInto(t *testing.T, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, append([]string{"render", "-name", "hello", "-exec", "/usr/bin/hello", "-socket", "http=:8080", "-out", dir}, flags...)...)
	return dir
}

// Below a root a name is that of a unit, whatever lies in the working folder.
func TestLintBelowRoot(t *testing.T) {
	root := t.TempDir()
	must(t, "render", "-spec", writeFile(t, "hello.heirloom", spec), "-root", root)
	t.Chdir(t.TempDir())
	if err := write("hello.service", "[Service]\nExecStart=/usr/bin/hello\n", 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, "lint", "-strict", "-root", root, "hello.service")
}

// A daemon that is started by a sub-command has it in each command.
func TestRenderSubCommand(t *testing.T) {
	out := must(t, "render", "-name", "web", "-exec", "/usr/bin/web serve -v", "-reload", "serve reload -q",
		"-env", "LANG=C.UTF-8", "-env", "GREETING=good morning", "-env", "LANG=C")
	for _, line := range []string{
		"ExecStart=/usr/bin/web serve -v", "ExecReload=/usr/bin/web serve reload -q",
		"Environment=LANG=C", `Environment="GREETING=good morning"`,
	} {
		if strings.Count(out, "\n"+line+"\n") != 1 {
			t.Errorf("want %q once in\n%s", line, out)
		}
	}
	path := writeFile(t, "hello.heirloom", spec+"[Service]\nEnvironment=A=1 B=2\nReloadArgs=again\n")
	out = must(t, "render", "-spec", path, "-env", "B=3", "-env", "C=4", "-reload", "once more")
	if !strings.Contains(out, "\nEnvironment=A=1\nEnvironment=B=3\nEnvironment=C=4\n") || !strings.Contains(out, "\nExecReload=/usr/bin/hello once more\n") {
		t.Errorf("flags do not come after the file in\n%s", out)
	}
}

// What can be rendered and is probably not meant is said, and rendered.
func TestWarnings(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"sub-command", []string{"-name", "web", "-exec", "/usr/bin/web serve -v"}, []string{"[Service] Args=serve -v: ", `-reload "serve reload"`}},
		{"another name", []string{"-name", "hello", "-exec", "/usr/bin/web"}, []string{"[Service] Name=hello: ", "RUNTIME_DIRECTORY=/run/hello before"}},
		{"template of another name", []string{"-name", "hello@", "-exec", "/usr/bin/web"}, []string{"RUNTIME_DIRECTORY=/run/hello-INSTANCE before"}},
		{"flag", []string{"-name", "web", "-exec", "/usr/bin/web -v serve"}, nil},
		{"path", []string{"-name", "web", "-exec", "/usr/bin/web /etc/web.conf"}, nil},
		{"address", []string{"-name", "web", "-exec", "/usr/bin/web localhost:80"}, nil},
		{"it is said", []string{"-name", "web", "-exec", "/usr/bin/web serve", "-reload", "reload"}, nil},
		{"template", []string{"-name", "web@", "-exec", "/usr/bin/web"}, nil},
		{"by a signal", []string{"-spec", writeFile(t, "a", "[Service]\nName=web\nProgram=/usr/bin/web\nArgs=serve\nNotifyReload=yes\n"), "-systemd", "257"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, stderr := heirloomUnits(t, append([]string{"render"}, tt.args...)...)
			if code != 0 || !strings.Contains(out, "\n[Service]\n") || (stderr == "") != (tt.want == nil) || strings.Count(stderr, "\n") > 1 {
				t.Fatalf("exit %d, %q", code, stderr)
			}
			for _, want := range append(tt.want, "") {
				if !strings.Contains(stderr, want) {
					t.Errorf("%q has no %q", stderr, want)
				}
			}
		})
	}
	path := writeFile(t, "hello.heirloom", strings.Replace(spec, "User=", "Args=serve\nUser=", 1))
	if _, _, stderr := heirloomUnits(t, "package", "-spec", path, "-version", "1", "-arch", "amd64", "-out", t.TempDir()); !strings.Contains(stderr, "Args=serve: ") {
		t.Errorf("package does not warn: %q", stderr)
	}
}

// Flags say otherwise than the file, or more.
func TestRenderFlagsAfterSpec(t *testing.T) {
	path := writeFile(t, "hello.heirloom", spec)
	out := must(t, "render", "-spec", path, "-stop", "7s", "-exec", "/opt/hello -v 'a b'", "-network", "any", "-state", "hello",
		"-socket", "http=[::1]:8081", "-socket", "admin=/run/hello-admin.sock")
	for _, line := range []string{
		"TimeoutStopSec=7s", `ExecStart=/opt/hello -v "a b"`, "PrivateNetwork=no", "StateDirectory=hello",
		"ListenStream=8080\nListenStream=[::1]:8081", "ListenStream=/run/hello-admin.sock", "Sockets=hello.socket hello-admin.socket",
	} {
		if !strings.Contains(out, line+"\n") {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
}

func TestLint(t *testing.T) {
	dir := t.TempDir()
	must(t, "render", "-name", "hello", "-exec", "/usr/bin/hello", "-socket", "http=:8080", "-out", dir)
	service := filepath.Join(dir, "hello.service")
	dropIn := filepath.Join(dir, "hello.service.d", "kill.conf")
	if err := write(dropIn, "[Service]\n# bad\nKillMode=none\nTimeoutStopSec=10s\n", 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, _ := heirloomUnits(t, "lint", service)
	if !strings.HasPrefix(out, dropIn+":3: error: [Service] KillMode=none: ") || strings.Count(out, "\n") != 1 || code != exitFindings {
		t.Errorf("exit %d, %s", code, out)
	}
	code, out, _ = heirloomUnits(t, "lint", "-drain", "30s", service)
	if !strings.Contains(out, dropIn+":4: error: [Service] TimeoutStopSec=10s: ") || code != exitFindings {
		t.Errorf("exit %d, %s", code, out)
	}
	for _, format := range []string{"json", "sarif"} {
		code, out, _ := heirloomUnits(t, "lint", "-format", format, service)
		if !json.Valid([]byte(out)) || !strings.Contains(out, "kill-mode") || code != exitFindings {
			t.Errorf("%s: exit %d, %s", format, code, out)
		}
	}
	path := writeFile(t, "hello.heirloom", "[Service]\nName=hello\nProgram=/usr/bin/hello\nStopTimeout=1min\n")
	if _, out, _ = heirloomUnits(t, "lint", "-spec", path, service); !strings.Contains(out, dropIn+":4: ") {
		t.Errorf("the description's StopTimeout is not compared: %s", out)
	}
}

// Warnings alone are no failure, unless asked for.
func TestLintStrict(t *testing.T) {
	dir := t.TempDir()
	must(t, "render", "-name", "hello", "-exec", "/usr/bin/hello", "-socket", "http=:8080", "-out", dir)
	if err := write(filepath.Join(dir, "hello.service.d", "a.conf"), "[Service]\nExecReload=\nExecReload=kill -HUP $MAINPID\n", 0o644); err != nil {
		t.Fatal(err)
	}
	service := filepath.Join(dir, "hello.service")
	if code, out, _ := heirloomUnits(t, "lint", service); code != 0 || !strings.Contains(out, ": warning: ") {
		t.Errorf("exit %d, %s", code, out)
	}
	if code, _, _ := heirloomUnits(t, "lint", "-strict", service); code != exitFindings {
		t.Errorf("-strict: exit %d", code)
	}
}

func TestExplain(t *testing.T) {
	if list := must(t, "explain"); !strings.Contains(list, "\nkill-mode ") || !regexp.MustCompile(`^RULE +AT WORST +`).MatchString(list) {
		t.Errorf("the list has no kill-mode, or does not say that severities are the worst:\n%s", list)
	}
	out := must(t, "explain", "kill-mode", "fd-store")
	for _, text := range []string{"kill-mode (at worst an error): ", "\nfd-store (at worst an error): ", "\nFound:\n    ", "\nRight:\n    ", "See systemd."} {
		if !strings.Contains(out, text) {
			t.Errorf("no %q in\n%s", text, out)
		}
	}
}

func TestPackage(t *testing.T) {
	path := writeFile(t, "hello.heirloom", spec)
	binary := filepath.Join(filepath.Dir(path), "build", "hello")
	if err := write(binary, "#!/bin/sh\n", 0o755); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	printed := must(t, "package", "-spec", path, "-version", "1.2.0", "-arch", "amd64", "-out", out)
	config := filepath.Join(out, "nfpm.yaml")
	if !strings.Contains(printed, config+"\n") {
		t.Errorf("no %s in\n%s", config, printed)
	}
	text, err := os.ReadFile(config)
	if err != nil || !strings.Contains(string(text), binary) || !strings.Contains(string(text), "1.2.0") {
		t.Errorf("%v, no %s or version in\n%s", err, binary, text)
	}
}

func TestRefusals(t *testing.T) {
	bad := writeFile(t, "bad.heirloom", "[Service]\nName=hello\nProgram=hello\n")
	good := writeFile(t, "hello.heirloom", spec)
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no command", nil, "heirloom-units render "},
		{"unknown command", []string{"rendre"}, `unknown command "rendre"`},
		{"unknown flag", []string{"render", "-nam", "a"}, "flag provided but not defined: -nam"},
		{"no description", []string{"render"}, "a description is needed"},
		{"argument", []string{"render", "-spec", good, "hello"}, `unexpected argument "hello"`},
		{"file, line and setting", []string{"render", "-spec", bad}, bad + ":3: [Service] Program=hello: it must be an absolute path"},
		{"no such file", []string{"render", "-spec", "/nowhere"}, "open /nowhere: no such file"},
		{"version", []string{"render", "-spec", good, "-systemd", "251"}, "systemd 251"},
		{"socket", []string{"render", "-spec", good, "-socket", "http"}, "it does not have the form name=address"},
		{"address", []string{"render", "-spec", good, "-socket", "http=localhost:80"}, "Addresses=localhost:80"},
		{"command line", []string{"render", "-spec", good, "-exec", "'a"}, "-exec 'a"},
		{"argument in the program", []string{"render", "-spec", good, "-exec", "'/usr/bin/hello -v'"}, "Program=/usr/bin/hello -v: it has a blank: put arguments in Args="},
		{"variable", []string{"render", "-spec", good, "-env", "A"}, `invalid value "A" for flag -env: it does not have the form NAME=value`},
		{"name of a variable", []string{"render", "-spec", good, "-env", "A-B=1"}, "Environment=A-B=1"},
		{"reserved variable", []string{"render", "-spec", good, "-env", "HEIRLOOM_UNIT_HASH=1"}, "reserved"},
		{"program in -reload", []string{"render", "-spec", good, "-reload", "/usr/bin/hello reload"}, "write the arguments only"},
		{"quote in -reload", []string{"render", "-spec", good, "-reload", "'a"}, "-reload 'a"},
		{"suffix", []string{"render", "-name", "x.service", "-exec", "/bin/x"}, "Name=x.service: write the name without .service"},
		{"time", []string{"render", "-spec", good, "-stop", "soon"}, `invalid value "soon" for flag -stop: it is not a finite time, such as 20s`},
		{"endless time", []string{"lint", "-drain", "infinity", "a"}, "such as 20s"},
		{"full disk", []string{"render", "-spec", good, "-out", "/dev/null/x"}, "/dev/null"},
		{"no units", []string{"lint"}, "no units"},
		{"no such unit", []string{"lint", "/nowhere/a.service"}, "/nowhere/a.service"},
		{"format", []string{"lint", "-format", "xml", "a"}, "-format xml"},
		{"nothing to fix", []string{"lint", "-n", "a"}, "give it as well"},
		{"fix in another format", []string{"lint", "-fix", "-format", "json", "a"}, "-fix writes text"},
		{"fix of a file", []string{"lint", "-fix", "./a.service"}, "./a.service: it is a file, which can be edited"},
		{"unknown rule to lint", []string{"lint", "-rules", "fd-store,nothing", "-root", t.TempDir(), "a"}, `unknown rule: "nothing"`},
		{"no shell", []string{"completion"}, "name one shell"},
		{"unknown shell", []string{"completion", "tcsh"}, "tcsh: it is bash, zsh or fish"},
		{"unknown page", []string{"man", "reload"}, "there is no page heirloom-units-reload"},
		{"page and all pages", []string{"man", "-out", "/nowhere", "lint"}, "give -out for all pages"},
		{"argument of version", []string{"version", "-v"}, "-v"},
		{"no such rule", []string{"explain", "nothing"}, "nothing"},
		{"package without description", []string{"package"}, "-spec FILE"},
		{"package without version", []string{"package", "-spec", good, "-arch", "amd64", "-out", t.TempDir()}, "Version"},
		{"no nfpm", []string{"package", "-spec", good, "-version", "1", "-arch", "amd64", "-out", t.TempDir(), "-format", "deb", "-nfpm", "nfpm-is-not-there"}, "nfpm-is-not-there"},
		{"how nfpm is had", []string{"package", "-spec", good, "-version", "1", "-arch", "amd64", "-out", t.TempDir(), "-format", "deb", "-nfpm", "nfpm-is-not-there"}, "; install it with: go install github.com/goreleaser/nfpm/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, _, stderr := heirloomUnits(t, tt.args...)
			if code != exitFailed || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit %d, %q; want %q", code, stderr, tt.want)
			}
		})
	}
}

// Each command's help has an example.
func TestHelp(t *testing.T) {
	for _, c := range commands() {
		out := must(t, "help", c.name)
		if !strings.Contains(out, "\n    heirloom-units "+c.name) {
			t.Errorf("no example in\n%s", out)
		}
		if again := must(t, c.name, "-help"); again != out {
			t.Errorf("%s -help says something else", c.name)
		}
	}
	if out := must(t, "help", "explain"); strings.Contains(out, "Flags:") {
		t.Errorf("explain has no flags, and its help says\n%s", out)
	}
	if out := must(t, "help"); !strings.Contains(out, "heirloom-units lint") {
		t.Errorf("help says %s", out)
	}
}
