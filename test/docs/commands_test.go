package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

var (
	commandLine = regexp.MustCompile(`(?m)^    ([a-z].*)$`)
	isCommand   = regexp.MustCompile(`^(systemctl|hello) [-a-z]`)
	optionOf    = regexp.MustCompile(`(?:^| )(--?[a-z][a-z-]*)`)
)

// commands returns the commands of a page that begin with a program, without
// it: those on a line of their own and those in a line.
func commands(t *testing.T, page, program string) []string {
	t.Helper()
	text := read(t, page)
	var all []string
	for _, parts := range commandLine.FindAllStringSubmatch(text, -1) {
		all = append(all, parts[1])
	}
	all = append(all, spans(text)...)
	var of []string
	for _, command := range all {
		for part := range strings.SplitSeq(command, " && ") {
			if strings.HasPrefix(part, "RUNTIME_DIRECTORY=") {
				_, part, _ = strings.Cut(part, " ")
			}
			rest, found := strings.CutPrefix(part, program+" ")
			if isCommand.MatchString(part) && found && !strings.Contains(part, "…") {
				of = append(of, rest)
			}
		}
	}
	return of
}

// checkCommands sees to it that the pages' commands have the verbs and options
// that they are called with.
func checkCommands(t *testing.T, m *sdtest.Machine) {
	t.Helper()
	help := m.MustRun("systemctl", "--help")
	n := 0
	eachPage(t, func(t *testing.T, page, _ string) {
		for _, command := range commands(t, page, "systemctl") {
			n++
			verb := ""
			for _, word := range strings.Fields(command) {
				if verb == "" && !strings.HasPrefix(word, "-") {
					verb = word
				}
			}
			if !regexp.MustCompile(`(?m)^ +` + verb + `\b`).MatchString(help) {
				t.Errorf("systemctl %s: there is no %s", command, verb)
			}
			for _, option := range optionOf.FindAllStringSubmatch(command, -1) {
				if !regexp.MustCompile(`(?m)^ .*` + option[1] + `[\s=\[]`).MatchString(help) {
					t.Errorf("systemctl %s: there is no %s", command, option[1])
				}
			}
		}
		for _, command := range commands(t, page, "hello") {
			n++
			if command = strings.TrimSpace(command); !slices.Contains([]string{"reload", "reload -dry-run", "status", "status -json"}, command) {
				t.Errorf("hello %s: it knows no such command", command)
			}
		}
	})
	if n < 35 {
		t.Errorf("only %d commands were looked at", n)
	}
}

// checkSystemd looks up in systemd itself what the pages say that it says.
func checkSystemd(t *testing.T, m *sdtest.Machine) {
	t.Helper()
	n := 0
	for _, r := range tables(t, "troubleshooting.md", "what is said or seen") {
		if text, found := strings.CutSuffix(r["what is said or seen"], " (systemd)"); found {
			n++
			if out, err := m.Run("sh", "-c", `grep -qF -e "$0" /usr/lib/*/systemd/libsystemd-core-*.so`, strings.Trim(text, "`")); err != nil {
				t.Errorf("systemd does not say %s: %v, %s", text, err, out)
			}
		}
	}
	if n == 0 {
		t.Error("nothing was looked up")
	}
}

// TestPackagers runs what packagers.md says, and looks whether what it says is
// made is made; the spec file on a machine with rpmbuild.
func TestPackagers(t *testing.T) {
	t.Parallel()
	const page = "packagers.md"
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	for from, to := range map[string]string{"../units/cmd/heirloom-units": "bin/heirloom-units", "../examples/hello": "hello"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, to), from)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	description := read(t, "../examples/hello/hello.heirloom")
	if err := os.WriteFile(filepath.Join(dir, "hello.heirloom"), []byte(description), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "debian"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, line := range commandLine.FindAllStringSubmatch(read(t, page), -1) {
		cmd := exec.Command("sh", "-c", line[1])
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line[1], err, out)
		}
	}
	if sarif := read(t, filepath.Join(dir, "units.sarif")); !strings.Contains(sarif, `"2.1.0"`) {
		t.Errorf("it is no SARIF: %s", sarif)
	}
	checkFiles(t, page, dir)
	buildSpec(t, read(t, page), dir)
}

// checkFiles compares the page's table of files with what was made.
func checkFiles(t *testing.T, page, dir string) {
	t.Helper()
	said := map[string]bool{}
	for _, r := range tables(t, page, "file") {
		path := strings.Trim(r["file"], "`")
		said[filepath.Clean(path)] = true
		for _, name := range spans(r["what for"]) {
			if _, err := os.Stat(filepath.Join(dir, path, name)); err != nil {
				t.Error(err)
			}
		}
	}
	made, err := filepath.Glob(filepath.Join(dir, "dist", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range made {
		if rel, _ := filepath.Rel(dir, path); !said[rel] {
			t.Errorf("the page does not speak of %s", rel)
		}
	}
	if len(said) != len(made) {
		t.Errorf("the page speaks of %v, and there is %v", said, made)
	}
	if _, err := os.Stat(filepath.Join(dir, "dist/files/etc/needrestart/conf.d/hello.conf")); err != nil {
		t.Error(err)
	}
}

// buildSpec builds the page's spec file, and looks whether the package has the
// scripts.
func buildSpec(t *testing.T, text, dir string) {
	t.Helper()
	specs := blocks(text, "spec")
	if len(specs) != 1 {
		t.Fatalf("there are %d spec files", len(specs))
	}
	m := sdtest.Boot(t, sdtest.V257)
	m.WriteFile("/src/hello.spec", specs[0], 0o644)
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			m.Install(path, "/src/"+rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	m.MustRun("rpmbuild", "-bb", "--define", "_sourcedir /src", "--define", "_rpmdir /out", "/src/hello.spec")
	scripts := m.MustRun("sh", "-c", "rpm -qp --scripts /out/*/hello-1.2.0-1.*.rpm")
	for _, name := range []string{"pre", "post", "preun", "postun", "posttrans"} {
		script := read(t, filepath.Join(dir, "dist", "rpm", name))
		_, body, _ := strings.Cut(script, "\n") // the first line names the shell
		if !strings.Contains(scripts, strings.TrimSpace(body)) {
			t.Errorf("%%%s of the package is not dist/rpm/%s:\n%s", name, name, scripts)
		}
	}
}
