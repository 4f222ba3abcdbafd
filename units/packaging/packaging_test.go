package packaging_test

import (
	"errors"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/packaging"
)

func hello() packaging.Package {
	return packaging.Package{
		Service: units.Service{
			Name:    "hello",
			Program: "/usr/bin/hello",
			Sockets: []units.Socket{{Name: "http", Addresses: []string{"0.0.0.0:8080"}}},
		},
		Version:    "1.2.0",
		Arch:       "amd64",
		Maintainer: "Jane Doe <jane@example.org>",
		Summary:    "greets",
		Binary:     "/build/hello",
	}
}

// variants are descriptions that take other lines of the scripts.
func variants() map[string]packaging.Package {
	all := map[string]packaging.Package{"plain": hello()}
	add := func(name string, change func(*packaging.Package)) {
		p := hello()
		change(&p)
		all[name] = p
	}
	add("template", func(p *packaging.Package) {
		p.Name, p.Service.Name = "hello", "hello@"
		p.Service.Sockets[0].Addresses[0] = "127.0.0.1:%i"
		p.Service.ReloadArgs = []string{"reload", "-of", "it's %i", "100%%", "$$HOME", ""}
	})
	add("user", func(p *packaging.Package) { p.Service.Scope = units.User })
	add("user's template", func(p *packaging.Package) {
		p.Name, p.Service.Name, p.Service.Sockets, p.Service.Scope = "hello", "hello@", nil, units.User
	})
	add("static", func(p *packaging.Package) {
		p.Service.User = "hello"
		p.Service.ReadWritePaths = []string{"/srv/hello"}
		p.Service.StateDirectory, p.Service.LogsDirectory = []string{"hello", "a&b"}, []string{"hello"}
	})
	add("notify", func(p *packaging.Package) { p.Service.NotifyReload, p.Service.Program = true, "/opt/hello(1)/d$" })
	add("no socket", func(p *packaging.Package) { p.Service.Sockets = nil })
	return all
}

// TestScripts has a shell read every script.
func TestScripts(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	for name, p := range variants() {
		t.Run(name, func(t *testing.T) {
			for _, f := range render(t, p) {
				if f.Mode != 0o755 {
					continue
				}
				cmd := exec.Command(shell, "-n")
				cmd.Stdin = strings.NewReader(f.Text)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s\n%s", f.Name, err, out, f.Text)
				}
				if strings.Contains(f.Text, "<no value>") || strings.Contains(f.Text, "  \n") {
					t.Errorf("%s:\n%s", f.Name, f.Text)
				}
			}
		})
	}
}

// options are those of systemctl that its oldest version for which there are
// packages, 252, has as well.
var options = []string{"-P", "--all", "--full", "--global", "--no-legend", "--no-reload", "--now", "--plain", "--quiet", "--system", "--user"}

var systemctl = regexp.MustCompile(`\bsystemctl ([^|;&>)"\n]*)`)

// TestOptions has scripts call systemctl only with what an old one takes: the
// scripts go on where it refuses an option and does nothing.
func TestOptions(t *testing.T) {
	for name, p := range variants() {
		for _, f := range render(t, p) {
			if f.Mode != 0o755 {
				continue
			}
			for _, call := range systemctl.FindAllStringSubmatch(f.Text, -1) {
				for _, word := range strings.Fields(call[1]) {
					if word == "--" {
						break
					}
					if strings.HasPrefix(word, "-") && !slices.Contains(options, word) {
						t.Errorf("%s, %s: systemctl %s", name, f.Name, word)
					}
				}
			}
		}
	}
}

func render(t *testing.T, p packaging.Package) []packaging.File {
	t.Helper()
	files, err := p.Render(257)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func text(t *testing.T, p packaging.Package, name string) string {
	t.Helper()
	for _, f := range render(t, p) {
		if f.Name == name {
			return f.Text
		}
	}
	t.Fatalf("there is no %s", name)
	return ""
}

// TestNames has nfpm.yaml name all files.
func TestNames(t *testing.T) {
	for name, p := range variants() {
		files := render(t, p)
		for _, f := range files[1:] {
			if !strings.Contains(files[0].Text, `"`+f.Name+`"`) {
				t.Errorf("%s: nfpm.yaml does not name %s:\n%s", name, f.Name, files[0].Text)
			}
		}
	}
}

func TestSameAgain(t *testing.T) {
	for name, p := range variants() {
		if !slices.Equal(render(t, p), render(t, p)) {
			t.Errorf("%s: the files differ", name)
		}
	}
}

func TestReloadArgs(t *testing.T) {
	want := `/usr/bin/hello reload -of 'it'\''s '"$instance" 100% '$'HOME ''` + " </dev/null"
	if script := text(t, variants()["template"], "deb/postinst"); !strings.Contains(script, want) {
		t.Errorf("want %s in\n%s", want, script)
	}
}

func TestNfpm(t *testing.T) {
	p := hello()
	p.Description = "Greets \"everybody\":\n\tand more."
	p.Depends, p.DebDepends, p.Service.User = []string{"bash"}, []string{"adduser"}, "hello"
	p.Contents = []packaging.Content{
		{Source: "a b", Destination: "/etc/hello.conf", Mode: 0o640},
		{Source: "c", Destination: "/usr/share/hello/c", Config: true},
		{Source: "d", Destination: "/usr/share/hello/d"},
	}
	yaml := text(t, p, "nfpm.yaml")
	for _, want := range []string{
		"maintainer: \"Jane Doe <jane@example.org>\"\n",
		`description: "greets\nGreets \"everybody\":\n\tand more."` + "\n",
		"release: \"1\"\n",
		"  - src: \"/build/hello\"\n    dst: \"/usr/bin/hello\"\n    file_info: {mode: 0755}\n",
		"  - src: \"a b\"\n    dst: \"/etc/hello.conf\"\n    type: config|noreplace\n    file_info: {mode: 0640}\n",
		"  - src: \"c\"\n    dst: \"/usr/share/hello/c\"\n    type: config|noreplace\n",
		"  - src: \"d\"\n    dst: \"/usr/share/hello/d\"\n  - src",
		"      - \"systemd | systemd-standalone-sysusers | systemd-sysusers\"\n      - \"bash\"\n      - \"adduser\"\n",
		"      - \"/usr/bin/systemd-sysusers\"\n      - \"bash\"\n    scripts",
	} {
		if !strings.Contains(yaml, want) {
			t.Errorf("want %s in\n%s", want, yaml)
		}
	}
}

func TestInvalid(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*packaging.Package)
		want   string
	}{
		{"service", func(p *packaging.Package) { p.Service.Program = "hello" }, `Program=hello`},
		{"name", func(p *packaging.Package) { p.Service.Name = "Hello" }, `Name=Hello`},
		{"no version", func(p *packaging.Package) { p.Version = "" }, `Version=`},
		{"version", func(p *packaging.Package) { p.Version = "v1.0" }, `Version=v1.0`},
		{"release", func(p *packaging.Package) { p.Release = "1-2" }, `Release=1-2`},
		{"architecture", func(p *packaging.Package) { p.Arch = "x86_64" }, `Arch=x86_64`},
		{"maintainer", func(p *packaging.Package) { p.Maintainer = "jane" }, `Maintainer=jane`},
		{"summary", func(p *packaging.Package) { p.Summary = "two\nlines" }, "Summary=two\nlines"},
		{"binary", func(p *packaging.Package) { p.Binary = "" }, `Binary=`},
		{"dollar", func(p *packaging.Package) { p.Description = "costs $5" }, `Description=costs $5`},
		{"destination", func(p *packaging.Package) {
			p.Contents = []packaging.Content{{Source: "a", Destination: "/usr/../a"}}
		}, `Contents=a:/usr/../a`},
		{"source", func(p *packaging.Package) { p.Contents = []packaging.Content{{Destination: "/usr/a"}} }, `Contents=:/usr/a`},
		{"everybody's directory", func(p *packaging.Package) { p.Service.StateDirectory = []string{"private"} }, `=private`},
		{"all of /var/cache", func(p *packaging.Package) { p.Service.CacheDirectory = []string{"."} }, `=.: `},
		{"specifier", func(p *packaging.Package) { p.Service.ReloadArgs = []string{"%H"} }, `ReloadArgs=%H`},
		{"variable", func(p *packaging.Package) { p.Service.ReloadArgs = []string{"$HOME"} }, `ReloadArgs=$HOME`},
		{"instance of none", func(p *packaging.Package) { p.Service.ReloadArgs = []string{"%i"} }, `ReloadArgs=%i`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := hello()
			tt.change(&p)
			files, err := p.Render(252)
			if !errors.Is(err, units.ErrInvalid) || !strings.Contains(err.Error(), tt.want) || files != nil {
				t.Errorf("error is %v, want %s", err, tt.want)
			}
		})
	}
}

// TestShellWord asks a shell.
func TestShellWord(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	for _, word := range []string{"", "plain", "two words", "it's", `a"b\c`, "$HOME `id` $(id)", "*?[a]", "~", "a;b&c|d<e>f", "#", "-n", "!", "line\nline"} {
		out, err := exec.Command(shell, "-c", "printf %s "+packaging.ShellWord(word)).Output()
		if string(out) != word || err != nil {
			t.Errorf("%q became %q (%v)", word, out, err)
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add("hello", "1.0", "greets", "reload", "/usr/bin/hello", "hello")
	f.Add("hello@", "1~rc1", "it's", "%i", "/opt/a b/c", "x/y")
	f.Fuzz(func(t *testing.T, name, version, summary, arg, program, directory string) {
		p := hello()
		p.Service.Name, p.Version, p.Summary, p.Service.ReloadArgs, p.Service.Program = name, version, summary, []string{arg}, program
		p.Service.StateDirectory = []string{directory}
		p.Service.Sockets = nil
		files, err := p.Render(252)
		if (err == nil) == (files == nil) || err != nil && !errors.Is(err, units.ErrInvalid) {
			t.Fatalf("%d files, %v", len(files), err)
		}
		for _, f := range files {
			if f.Name == "deb/postrm" && (strings.Contains(f.Text, "/var/lib\n") || strings.Contains(f.Text, "/var/lib/private\n")) {
				t.Errorf("it removes too much:\n%s", f.Text)
			}
		}
	})
}
