package packages_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// place is a distribution, as far as packages go.
type place struct {
	systemd sdtest.Version
	format  string
}

// everywhere runs a test in all places. Unless nothing may be left out, it
// leaves out all Debians but one to save time: the oldest or the newest, as the
// versions of systemd take turns.
func everywhere(t *testing.T, test func(*testing.T, *box)) {
	rpm := place{sdtest.V257, "rpm"}
	switch turn := sdtest.Turn(t.Name()); {
	case os.Getenv("HEIRLOOM_TEST_ALL") == "true":
		in(t, test, place{sdtest.V252, "deb"}, place{sdtest.V257, "deb"}, place{sdtest.V262, "deb"}, rpm)
	case turn[0] == sdtest.V252:
		in(t, test, place{sdtest.V252, "deb"}, rpm)
	default:
		in(t, test, place{sdtest.V262, "deb"}, rpm)
	}
}

// onNewest is for what differs little between versions of dpkg and systemd: it
// saves time, unless nothing may be left out.
func onNewest(t *testing.T, test func(*testing.T, *box)) {
	if os.Getenv("HEIRLOOM_TEST_ALL") == "true" {
		everywhere(t, test)
		return
	}
	in(t, test, place{sdtest.V262, "deb"}, place{sdtest.V257, "rpm"})
}

// in runs a test in several places at once: machines mostly wait.
func in(t *testing.T, test func(*testing.T, *box), places ...place) {
	t.Parallel()
	for _, p := range places {
		t.Run(p.format+p.systemd.String(), func(t *testing.T) {
			t.Parallel()
			test(t, boot(t, p))
		})
	}
}

// box is a machine with a package manager.
type box struct {
	*sdtest.Machine
	place
	t *testing.T
}

func boot(t *testing.T, p place) *box {
	t.Helper()
	b := &box{Machine: sdtest.Boot(t, p.systemd), place: p, t: t}
	if _, err := b.Run(map[string]string{"deb": "dpkg", "rpm": "rpm"}[p.format], "--version"); err != nil {
		t.Fatalf("the root of systemd %v does not do (run go run ./internal/rig/sdtest/cmd/sdroots): %v", p.systemd, err)
	}
	b.Install(filepath.Join(made, "v2"), good)
	return b
}

// good is a program that knows its commands, whatever the package brings.
const good = "/usr/lib/hello-good"

// install installs a release, also an older one, and returns what was said.
func (b *box) install(r release) string {
	b.t.Helper()
	out, err := b.tryInstall(r)
	if err != nil {
		b.t.Fatalf("install %s: %v\n%s", r.version, err, out)
	}
	return out
}

func (b *box) tryInstall(r release) (string, error) {
	b.t.Helper()
	return b.Run(b.installing(r)[0], b.installing(r)[1:]...)
}

// installing is the command that installs a release.
func (b *box) installing(r release) []string {
	b.t.Helper()
	path := "/root/hello-" + r.version + "." + b.format
	b.Install(pack(b.t, b.format, r), path)
	if b.format == "rpm" {
		return []string{"rpm", "--nodeps", "-U", "--oldpackage", "--replacepkgs", path}
	}
	return []string{"dpkg", "--force-unsafe-io", "-i", path}
}

// remove removes the package but its configuration.
func (b *box) remove() {
	b.t.Helper()
	if b.format == "rpm" {
		b.MustRun("rpm", "-e", "hello")
	} else {
		b.MustRun("dpkg", "-r", "hello")
	}
}

// first installs a release and sees to it that the service is enabled and runs.
func (b *box) first(r release) {
	b.t.Helper()
	b.install(r)
	if b.format == "rpm" { // starts nothing
		b.MustRun("systemctl", "start", "hello.socket", "hello.service")
	}
	b.expect("active", "hello.service", "hello.socket")
	for _, unit := range []string{"hello.service", "hello.socket"} {
		if state := b.Property(unit, "UnitFileState"); state != "enabled" {
			b.t.Errorf("%s is %s", unit, state)
		}
	}
}

// purge removes the package and its configuration, and looks for what is left
// of it.
func (b *box) purge() {
	b.t.Helper()
	if b.format == "rpm" {
		b.remove()
		b.MustRun("rm", "-rf", "/var/lib/hello", "/var/lib/private/hello", "/var/cache/hello", "/var/cache/private/hello")
	} else {
		b.MustRun("dpkg", "-P", "hello")
	}
	b.gone()
	if left := b.traces(); left != "" && b.format == "deb" {
		b.t.Errorf("left after a purge:\n%s", left)
	}
}

// gone checks that nothing runs and nothing listens, and that systemd knows
// nothing of it.
func (b *box) gone() {
	b.t.Helper()
	for line := range strings.Lines(b.MustRun("systemctl", "list-units", "--all", "--full", "--plain", "--no-legend", "hello*")) {
		// A link in multi-user.target.wants is kept for another installation.
		if !strings.Contains(line, "not-found inactive") {
			b.t.Errorf("systemd still has %s", line)
		}
	}
	if left, _ := b.Run("systemctl", "list-unit-files", "--no-legend", "hello*"); left != "" {
		b.t.Errorf("unit files are left:\n%s", left)
	}
	if left, _ := b.Run("pgrep", "-x", "hello"); left != "" {
		b.t.Errorf("processes are left: %s", left)
	}
	if nc, err := b.Dial(b.t.Context(), "tcp", "127.0.0.1:8080"); err == nil {
		_ = nc.Close()
		b.t.Error("something listens still")
	}
}

// traces returns the files that are named after the package.
func (b *box) traces() string {
	b.t.Helper()
	return b.MustRun("find", "/etc", "/run", "/tmp", "/var/lib", "/var/cache", "/var/log", "/usr/lib/systemd", "/usr/lib/sysusers.d", "/usr/bin",
		"-maxdepth", "4", "-name", "*hello*", "-print", "-o", "-path", "/var/lib/apt", "-prune")
}

// expect checks the ActiveState of units.
func (b *box) expect(state string, units ...string) {
	b.t.Helper()
	for _, unit := range units {
		if is := b.Property(unit, "ActiveState"); is != state {
			b.t.Errorf("%s is %s, want %s", unit, is, state)
		}
	}
}

// mentions checks what a package manager said. Of silence it says so with "".
func (b *box) mentions(out, text string) {
	b.t.Helper()
	if text == "" && strings.Contains(out, "hello: ") || !strings.Contains(out, text) {
		b.t.Errorf("want %q, it said:\n%s", text, out)
	}
}

// status asks the daemon, with a program that is good in each release.
func (b *box) status() lifecycle.Status {
	b.t.Helper()
	var s lifecycle.Status
	if err := json.Unmarshal([]byte(b.MustRun("env", "RUNTIME_DIRECTORY=/run/hello", good, "status", "-json")), &s); err != nil {
		b.t.Fatal(err)
	}
	return s
}

// invocation is another one after a start of the service, and not after a
// reload.
func (b *box) invocation() string { return b.Property("hello.service", "InvocationID") }

// load asks the service on an address. There are fewer clients than elsewhere,
// for there are several machines at a time.
func (b *box) load(address string) *loadtest.Run {
	crowd := loadtest.OfEach(1)
	crowd[loadtest.KeepAlive] = 5
	return loadtest.Start(loadtest.Target{
		Address: address, Dial: b.Dial, IdleFor: 100 * time.Millisecond, SlowFor: 100 * time.Millisecond,
	}, crowd)
}

// served waits for an answer of the generation.
func (b *box) served(load *loadtest.Run, generation int) {
	b.t.Helper()
	ctx, cancel := patience.Context(b.t.Context(), 30*time.Second)
	defer cancel()
	if err := load.WaitGeneration(ctx, generation); err != nil {
		b.t.Error(err)
	}
}
