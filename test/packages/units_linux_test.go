package packages_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// unitsPackages makes heirloom-units as a release does, in two versions.
var unitsPackages = sync.OnceValue(func() error {
	for _, version := range []string{"1.0.0", "1.1.0"} {
		err := command("../..", "units/cmd/heirloom-units/package/build.sh", version, filepath.Join(made, "units-"+version), filepath.Join(made, "nfpm"))
		if err != nil {
			return err
		}
	}
	return nil
})

func unitsPackage(t *testing.T, version, format string) string {
	t.Helper()
	if err := unitsPackages(); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(made, "units-"+version, "heirloom-units*."+format))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s of version %s: %v, %v", format, version, found, err)
	}
	return found[0]
}

// TestUnitsPackage installs, upgrades and removes heirloom-units, and uses what
// it brings.
func TestUnitsPackage(t *testing.T) {
	everywhere(t, func(t *testing.T, b *box) {
		before := b.unitsFiles()
		for _, version := range []string{"1.0.0", "1.1.0"} {
			path := fmt.Sprintf("/root/units-%s.%s", version, b.format)
			b.Install(unitsPackage(t, version, b.format), path)
			install := []string{"dpkg", "--force-unsafe-io", "-i", path}
			if b.format == "rpm" {
				install = []string{"rpm", "-U", path}
			}
			b.MustRun(install[0], install[1:]...)
			if out := b.MustRun("heirloom-units", "version"); out != version+"\n" {
				t.Errorf("version %s, want %s", out, version)
			}
		}
		b.useUnits()
		b.hasUnitsFiles()
		if b.format == "rpm" {
			b.MustRun("rpm", "-V", "heirloom-units")
			b.MustRun("rpm", "-e", "heirloom-units")
		} else {
			if out := b.MustRun("dpkg", "-V", "heirloom-units"); out != "" && !strings.Contains(out, "missing") { // see hasUnitsFiles
				t.Errorf("dpkg -V: %s", out)
			}
			b.MustRun("dpkg", "-P", "heirloom-units")
		}
		if after := b.unitsFiles(); after != before {
			t.Errorf("left:\n%s", after)
		}
	})
}

// useUnits renders, breaks, finds and mends a unit.
func (b *box) useUnits() {
	b.t.Helper()
	b.MustRun("heirloom-units", "render", "-name", "one", "-exec", "/usr/lib/one -x", "-root", "/")
	b.WriteFile("/etc/systemd/system/one.service.d/a.conf", "[Service]\nKillMode=mixed\n", 0o644)
	if out, _ := b.Run("heirloom-units", "lint", "-strict", "one"); !strings.Contains(out, "(kill-mode)") {
		b.t.Errorf("lint: %s", out)
	}
	b.MustRun("heirloom-units", "lint", "-fix", "-y", "one")
	if out := b.MustRun("heirloom-units", "lint", "-strict", "one"); out != "" {
		b.t.Errorf("lint, after -fix: %s", out)
	}
	b.MustRun("systemctl", "daemon-reload")
	if mode := b.Property("one.service", "KillMode"); mode != "control-group" {
		b.t.Errorf("KillMode is %s", mode)
	}
}

// hasUnitsFiles looks for what shells and man look for.
func (b *box) hasUnitsFiles() {
	b.t.Helper()
	list := map[string][]string{"deb": {"dpkg", "-L", "heirloom-units"}, "rpm": {"rpm", "-ql", "heirloom-units"}}[b.format]
	files := b.MustRun(list[0], list[1:]...)
	zsh := map[string]string{"deb": "vendor-completions", "rpm": "site-functions"}[b.format]
	for _, path := range []string{
		"/usr/share/bash-completion/completions/heirloom-units",
		"/usr/share/zsh/" + zsh + "/_heirloom-units",
		"/usr/share/fish/vendor_completions.d/heirloom-units.fish",
		"/usr/share/man/man1/heirloom-units.1.gz",
		"/usr/share/man/man1/heirloom-units-lint.1.gz",
		"/usr/share/man/man7/heirloom-units-rules.7.gz",
	} {
		if !strings.Contains(files, path+"\n") {
			b.t.Errorf("it has no %s:\n%s", path, files)
		}
		// Small Debian systems leave out manual pages when they install.
		if out, err := b.Run("test", "-s", path); err != nil && !strings.Contains(path, "/man/") {
			b.t.Errorf("%s: %v %s", path, err, out)
		}
	}
}

func (b *box) unitsFiles() string {
	b.t.Helper()
	return b.MustRun("find", "/usr", "/etc", "/var/lib", "-name", "*heirloom*", "-not", "-name", "zz-heirloom.conf")
}

// TestUnitsPages has man find the pages in a package, and print the one that
// the command prints.
func TestUnitsPages(t *testing.T) {
	if _, err := exec.LookPath("man"); err != nil && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := command(dir, "dpkg-deb", "-x", unitsPackage(t, "1.0.0", "deb"), "."); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("man", "-M", filepath.Join(dir, "usr/share/man"), "heirloom-units-lint")
	cmd.Env = append(os.Environ(), "MANPAGER=cat", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "heirloom 1.0.0") || !strings.Contains(string(out), "-fix") {
		t.Errorf("man: %v: %s", err, out)
	}
}

// TestUnitsLintian has Debian's own checker look at the package.
func TestUnitsLintian(t *testing.T) {
	if _, err := exec.LookPath("lintian"); err != nil && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	out, err := exec.Command("lintian", "--allow-root", "--fail-on", "error,warning", "--pedantic", unitsPackage(t, "1.0.0", "deb")).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// TestUnitsReproducible has the same packages when they are made again.
func TestUnitsReproducible(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	var sums []string
	for _, name := range []string{"a", "b"} {
		dir := filepath.Join(t.TempDir(), name)
		if err := command("../..", "units/cmd/heirloom-units/package/build.sh", "1.0.0", dir, filepath.Join(made, "nfpm")); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("sh", "-c", "cd "+dir+" && sha256sum *.deb").Output()
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, string(out))
	}
	if sums[0] != sums[1] {
		t.Errorf("they differ:\n%s%s", sums[0], sums[1])
	}
}

// Other machines get their program.
func TestUnitsOtherArchitecture(t *testing.T) {
	t.Setenv("GOARCH", "arm64")
	dir := t.TempDir()
	if err := command("../..", "units/cmd/heirloom-units/package/build.sh", "1.0.0", dir, filepath.Join(made, "nfpm")); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("dpkg-deb", "-f", filepath.Join(dir, "heirloom-units_1.0.0-1_arm64.deb"), "Architecture").Output()
	if err != nil || string(out) != "arm64\n" {
		t.Errorf("%v: %s", err, out)
	}
	out, err = exec.Command("go", "version", "-m", filepath.Join(dir, "files/heirloom-units")).Output()
	if err != nil || !strings.Contains(string(out), "GOARCH=arm64") {
		t.Errorf("%v: %s", err, out)
	}
}
