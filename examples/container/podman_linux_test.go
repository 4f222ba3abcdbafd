package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest/roots"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// podmanPackages are podman and what it needs of Debian.
var podmanPackages = []string{
	"podman", "conmon", "crun", "catatonit", "golang-github-containers-common", "golang-github-containers-image",
	"libgpgme11", "libassuan0", "libsubid4", "libyajl2", "libdevmapper1.02.1", "libglib2.0-0",
}

// TestPodman has a real podman run links, from an image that it has built: as
// process 1, below an init, and in a unit, where either the container or conmon
// says READY=1. In each case links is replaced in place, under load and without
// a broken request, and nobody beside it notices.
func TestPodman(t *testing.T) {
	requirePodman(t)
	m := sdtest.Boot(t, sdtest.V252)
	e := &engine{Machine: m, t: t}
	e.install()
	for i, tt := range []struct {
		name  string
		flags []string
		unit  bool // podman is started by a unit
		init  bool // links is not process 1
	}{
		{name: "process-1"},
		{name: "init", flags: []string{"--init"}, init: true},
		{name: "sdnotify-container", flags: []string{"--sdnotify=container"}, unit: true},
		{name: "sdnotify-container-init", flags: []string{"--sdnotify=container", "--init"}, unit: true, init: true},
		{name: "sdnotify-conmon", flags: []string{"--sdnotify=conmon"}, unit: true},
		{name: "sdnotify-conmon-init", flags: []string{"--sdnotify=conmon", "--init"}, unit: true, init: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &run{engine: &engine{Machine: m.For(t), t: t}, name: tt.name, port: 8000 + 2*i, unit: tt.unit}
			r.start(tt.flags)
			r.live(tt.init)
			r.stop()
		})
	}
}

// requirePodman skips the test for what is missing, or fails it where nothing
// may be missing: see sdtest.Require.
func requirePodman(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("wrk")
	for _, name := range podmanPackages {
		_, missing := roots.Package(name)
		err = errors.Join(err, missing)
	}
	switch {
	case err == nil:
	case os.Getenv("CI") == "true" || os.Getenv("HEIRLOOM_REQUIRE_ALL") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

// An engine is a machine with podman.
type engine struct {
	*sdtest.Machine
	t *testing.T
}

// The machine may not raise limits, has no controllers of cgroups to share out,
// and no overlay on its overlay.
const (
	containersConf = "[containers]\ncgroups = \"disabled\"\n"
	storageConf    = "[storage]\ndriver = \"vfs\"\nrunroot = \"/run/containers/storage\"\ngraphroot = \"/var/lib/containers/storage\"\n"
)

// install installs podman, and builds the image by the second half of the
// Containerfile: the first one takes an image with a compiler.
func (e *engine) install() {
	e.t.Helper()
	for _, name := range podmanPackages {
		e.Unpack(name)
	}
	e.MustRun("ldconfig")
	e.WriteFile("/etc/containers/containers.conf", containersConf, 0o644)
	e.WriteFile("/etc/containers/storage.conf", storageConf, 0o644)
	program := filepath.Join(e.t.TempDir(), "links")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		e.t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile("Containerfile")
	if err != nil {
		e.t.Fatal(err)
	}
	_, last, found := strings.Cut(string(text), "\nFROM scratch\n")
	if !found || !strings.Contains(last, "--from=build ") {
		e.t.Fatalf("the Containerfile has no second stage:\n%s", text)
	}
	e.Install(program, "/srv/image/links")
	e.WriteFile("/srv/image/Containerfile", "FROM scratch\n"+strings.Replace(last, "--from=build ", "", 1), 0o644)
	e.MustRun("podman", "build", "--network=none", "-t", "localhost/links:1", "/srv/image")
}

// A run is a container of links.
type run struct {
	*engine
	name string
	port int // of the site; the next one is for probes
	unit bool
}

func (r *run) site() string  { return fmt.Sprintf("http://127.0.0.1:%d", r.port) }
func (r *run) admin() string { return fmt.Sprintf("http://127.0.0.1:%d", r.port+1) }

// write replaces the configuration.
func (r *run) write(target string) {
	r.t.Helper()
	r.WriteFile("/srv/"+r.name+"/links.json", fmt.Sprintf(`{"docs": %q}`, target), 0o644)
}

// start runs the container as its README says, but for its network.
func (r *run) start(flags []string) {
	r.t.Helper()
	r.write("https://example.org/one")
	args := append([]string{"run", "-d", "--name", r.name, "--ulimit", "host", "--network", "host", "--read-only", "--tmpfs", "/tmp",
		"-v", "/srv/" + r.name + ":/etc/links:ro", "--stop-timeout", "20", "-e", "HEIRLOOM_STOP_TIMEOUT=20s"}, flags...)
	args = append(args, "localhost/links:1", "-listen", fmt.Sprintf("127.0.0.1:%d", r.port), "-admin", fmt.Sprintf("127.0.0.1:%d", r.port+1))
	if r.unit {
		r.WriteFile("/etc/systemd/system/"+r.name+".service", "[Service]\nType=notify\nNotifyAccess=all\nTimeoutStopSec=30s\n"+
			"ExecStart=/usr/bin/podman "+strings.Join(args, " ")+"\nExecStop=/usr/bin/podman stop "+r.name+"\n", 0o644)
		r.MustRun("systemctl", "daemon-reload")
		r.MustRun("systemctl", "start", r.name+".service")
	} else {
		r.MustRun("podman", args...)
	}
	r.Wait("it to be ready", func() bool { out, _ := r.ask(r.admin() + "/readyz"); return out == "200 " })
}

// ask is the status of curl's answer and where that leads to.
func (r *run) ask(url string) (string, error) {
	return r.Run("curl", "-s", "-m", "10", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", url)
}

func (r *run) leadsTo(want string) {
	r.t.Helper()
	if out, err := r.ask(r.site() + "/docs"); err != nil || out != "302 "+want {
		r.t.Errorf("/docs leads to %s (%v), want %s", out, err, want)
	}
}

func (r *run) exec(args ...string) (string, error) {
	return r.Run("podman", append([]string{"exec", r.name, "/usr/bin/links"}, args...)...)
}

func (r *run) status() lifecycle.Status {
	r.t.Helper()
	s, err := r.askStatus()
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// askStatus may be too late for one program, and too early for the next.
func (r *run) askStatus() (s lifecycle.Status, err error) {
	out, err := r.exec("status", "-json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &s)
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return s, err
}

// live reloads it under load, by its command and by a signal, also with a bad
// configuration.
func (r *run) live(init bool) {
	r.t.Helper()
	load := r.Start("wrk", append(wrkArgs(20), r.site()+"/docs")...)
	r.Wait("wrk to connect", func() bool { c := r.status().Connections; return c.Active+c.Idle >= 20 })
	first, before := r.status(), r.outside()
	if (first.PID == 1) == init {
		r.t.Errorf("links is process %d", first.PID)
	}

	r.write("https://example.org/two")
	if out, err := r.exec("reload"); err != nil || !strings.Contains(out, "generation 2") {
		r.t.Errorf("reload: %v: %s", err, out)
	}
	r.leadsTo("https://example.org/two")

	r.write("not an address")
	if out, err := r.exec("reload"); err == nil || !strings.Contains(out, "not an address") {
		r.t.Errorf("reload of a bad configuration: %v: %s", err, out)
	}
	r.leadsTo("https://example.org/two")

	r.write("https://example.org/three")
	r.MustRun("podman", "kill", "--signal", "HUP", r.name)
	r.Wait("the third", func() bool {
		s, err := r.askStatus()
		return err == nil && s.Generation == 3 && s.State == lifecycle.Ready
	})
	r.leadsTo("https://example.org/three")
	if s := r.status(); s.PID != first.PID || r.outside() != before {
		r.t.Errorf("process %d serves, it was %d; outside it looks like %s, it was %s", s.PID, first.PID, r.outside(), before)
	}

	if err := load.Signal(syscall.SIGINT); err != nil {
		r.t.Fatal(err)
	}
	out, err := load.Wait()
	if err != nil || strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") || !strings.Contains(out, " requests in ") {
		r.t.Errorf("wrk: %v\n%s", err, out)
	}
	r.t.Log(strings.TrimSpace(out))
}

// outside is what podman and systemd know of it.
func (r *run) outside() string {
	r.t.Helper()
	known := r.MustRun("podman", "inspect", "--format", "{{.State.Status}} {{.State.Pid}} {{.RestartCount}}", r.name)
	if r.unit {
		known += r.MustRun("systemctl", "show", "-p", "ActiveState,SubState,MainPID,NRestarts", r.name+".service")
	}
	return known
}

// stop stops it: it ends by itself, and in time.
func (r *run) stop() {
	r.t.Helper()
	logs := r.Start("podman", "logs", "-f", r.name)
	if r.unit {
		r.MustRun("systemctl", "stop", r.name+".service")
		if result := r.Property(r.name+".service", "Result"); result != "success" {
			r.t.Errorf("the unit ended with %s", result)
		}
	} else {
		r.MustRun("podman", "stop", r.name)
	}
	if code := r.MustRun("podman", "inspect", "--format", "{{.State.ExitCode}}", r.name); code != "0\n" {
		r.t.Errorf("it ended with %s", code)
	}
	out, err := logs.Wait()
	if err != nil || !strings.Contains(out, `"from":"environment"`) {
		r.t.Errorf("HEIRLOOM_STOP_TIMEOUT is not heeded: %v\n%s", err, out)
	}
}
