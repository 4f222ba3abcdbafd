package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

func TestPackage(t *testing.T) {
	sdtest.Require(t, sdtest.V262)
	nfpm := filepath.Join(t.TempDir(), "nfpm")
	run(t, "../../test/packages", "go", "build", "-o", nfpm, "github.com/goreleaser/nfpm/v2/cmd/nfpm")
	t.Run("deb", func(t *testing.T) { testDeb(t, nfpm) })
	t.Run("rpm", func(t *testing.T) { testRPM(t, nfpm) })
}

// testDeb installs the package, and upgrades it while it is used.
func testDeb(t *testing.T, nfpm string) {
	m := sdtest.Boot(t, sdtest.V262)
	one, two := pack(t, nfpm, "deb", "1.0.0"), pack(t, nfpm, "deb", "2.0.0")
	install := func(path string) string {
		m.Install(path, "/root/site.deb")
		return m.MustRun("dpkg", "--force-unsafe-io", "-i", "/root/site.deb")
	}
	install(one)
	m.WaitActive("site.service")
	m.WriteFile("/etc/systemd/system/site-proxy.socket.d/group.conf", "[Socket]\nSocketGroup=daemon\n", 0o644) // as the README says
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("sh", "-c", "systemctl stop site-proxy.socket site.service && systemctl start site.service")
	if out := m.MustRun("stat", "-c", "%G %a", proxyPath); out != "daemon 660\n" {
		t.Errorf("the proxy's socket is of %s", out)
	}
	m.MustRun("sed", "-i", "s/same-origin/no-referrer/", configPath) // an administrator
	m.MustRun("systemctl", "reload", "site.service")
	l := start(t, m, everybody(m, "-k"))
	l.mustAdvance(2)
	install(two)
	if s := status(t, m); s.Generation != 3 || s.Version != "2.0.0" {
		t.Errorf("generation %d of %s serves", s.Generation, s.Version)
	}
	if answer := fetch(t, m, "-I", "https://127.0.0.1/"); !strings.Contains(answer, "referrer-policy: no-referrer") {
		t.Errorf("the administrator's headers are gone:\n%s", answer)
	}
	l.mustAdvance(3)
	m.MustRun("sed", "-i", "s/headers/haeders/", configPath)
	if out := install(one); !strings.Contains(out, "serves on") {
		t.Errorf("a version that cannot start was installed: %s", out)
	}
	if s := status(t, m); s.Generation != 3 || s.Version != "2.0.0" {
		t.Errorf("generation %d of %s serves", s.Generation, s.Version)
	}
	m.MustRun("sed", "-i", "s/haeders/headers/", configPath)
	l.finish()
	exampletest.CheckRunning(t, m)
	m.MustRun("dpkg", "-P", "site")
	if out, err := m.Run("test", "-e", "/etc/site"); err == nil {
		t.Errorf("the configuration is left: %s", out)
	}
}

// testRPM looks into the other package.
func testRPM(t *testing.T, nfpm string) {
	m := sdtest.Boot(t, sdtest.V257) // its root has rpm
	m.Install(pack(t, nfpm, "rpm", "1.0.0"), "/root/site.rpm")
	if out := m.MustRun("rpm", "-qp", "--configfiles", "/root/site.rpm"); out != "/etc/logrotate.d/site\n/etc/site/site.json\n" {
		t.Errorf("configuration is\n%s", out)
	}
	list := m.MustRun("rpm", "-qpl", "/root/site.rpm")
	for _, file := range append([]string{"/usr/bin/site", "/usr/share/site/index.html"}, installed(t)...) {
		if !strings.Contains(list, file+"\n") {
			t.Errorf("%s is not in it:\n%s", file, list)
		}
	}
	m.MustRun("rpm", "--nodeps", "-U", "/root/site.rpm")
	m.MustRun("systemctl", "start", "site.service")
	if s := status(t, m); s.Version != "1.0.0" {
		t.Errorf("version %s serves", s.Version)
	}
}

// installed returns the paths of what site.heirloom is rendered to.
func installed(t *testing.T) []string {
	t.Helper()
	var paths []string
	for _, file := range exampletest.Render(t) {
		paths = append(paths, file.Path)
	}
	return paths
}

// pack makes a package as the README says, and returns its path.
func pack(t *testing.T, nfpm, format, version string) string {
	t.Helper()
	program := exampletest.Build(t, "-trimpath", "-ldflags", "-s -w -X main.version="+version)
	dir := t.TempDir()
	run(t, ".", "go", "run", "../../units/cmd/heirloom-units", "package", "-spec", "site.heirloom", "-version", version,
		"-arch", runtime.GOARCH, "-binary", program, "-out", dir, "-format", format, "-nfpm", nfpm)
	found, err := filepath.Glob(filepath.Join(dir, "*."+format))
	if err != nil || len(found) != 1 {
		t.Fatalf("packages are %v, %v", found, err)
	}
	return found[0]
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0") // as programs are built here elsewhere, so that it is done once
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}
