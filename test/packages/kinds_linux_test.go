package packages_test

import (
	"os"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/packaging"
)

// TestMovedSocket is a socket whose addresses change while the service is busy.
// The old ones are served until the administrator does what the message says,
// which is tried as well.
func TestMovedSocket(t *testing.T) {
	everywhere(t, func(t *testing.T, b *box) {
		b.first(release{version: "1", binary: "v1"})
		started := b.invocation()
		load := b.load("127.0.0.1:8080")
		b.served(load, 1)
		moved := func(colour string) func(*packaging.Package) {
			return func(p *packaging.Package) {
				environment(colour)(p)
				p.Service.Sockets[0].Addresses = []string{"127.0.0.1:8090"}
			}
		}
		const advice = "systemctl stop hello.socket hello.service && systemctl start hello.service"
		b.mentions(b.install(release{version: "2", binary: "v2", change: moved("red")}), advice)
		b.mentions(b.install(release{version: "3", binary: "v1", change: moved("blue")}), advice)
		if s := b.status(); s.Version != "v1" || s.Generation != 3 || b.invocation() != started {
			t.Errorf("generation %d of %s serves", s.Generation, s.Version)
		}
		b.served(load, 3)
		loadtest.Verify(t, load.Stop())

		b.MustRun("sh", "-c", advice)
		if _, err := b.Dial(t.Context(), "tcp", "127.0.0.1:8080"); err == nil {
			t.Error("the old address is still served")
		}
		load = b.load("127.0.0.1:8090")
		started = b.invocation()
		b.mentions(b.install(release{version: "4", binary: "v2", change: moved("green")}), "")
		if started == b.invocation() {
			t.Error("a setting that takes a start was not applied")
		}
		b.served(load, b.status().Generation)
		loadtest.Verify(t, load.Stop())
	})
}

// TestInstances is all that runs of a template.
func TestInstances(t *testing.T) {
	onNewest(t, func(t *testing.T, b *box) {
		template := func(p *packaging.Package) {
			p.Name, p.Service.Name = "hello", "hello@"
			p.Service.Sockets[0].Addresses = []string{"127.0.0.1:%i"}
			p.Service.StateDirectory, p.Service.CacheDirectory = nil, nil
		}
		b.install(release{version: "1", binary: "v1", change: template})
		b.MustRun("systemctl", "enable", "hello@8081.service")
		b.MustRun("systemctl", "start", "hello@8081.service", "hello@8082.service", "hello@8083.service")
		b.MustRun("systemctl", "stop", "hello@8083.service", "hello@8083.socket")
		load := loadtest.Start(loadtest.Target{Address: "127.0.0.1:8081", Dial: b.Dial}, loadtest.OfEach(1))
		if err := load.WaitGeneration(t.Context(), 1); err != nil {
			t.Error(err)
		}
		pids := func() string {
			return b.MustRun("systemctl", "show", "-P", "MainPID", "hello@8081.service", "hello@8082.service", "hello@8083.service")
		}
		versions := func(want string) {
			t.Helper()
			for _, instance := range []string{"8081", "8082"} {
				out := b.MustRun("env", "RUNTIME_DIRECTORY=/run/hello-"+instance, good, "status", "-json")
				if !strings.Contains(out, `"version": "`+want+`"`) {
					t.Errorf("%s: %s", instance, out)
				}
			}
		}
		b.mentions(b.install(release{version: "2", binary: "v2", change: template}), "")
		versions("v2")
		changed := func(p *packaging.Package) { template(p); environment("red")(p) }
		before := pids()
		out := b.install(release{version: "3", binary: "startless", change: changed})
		b.mentions(out, "systemctl restart hello@8081.service")
		b.mentions(out, "systemctl restart hello@8082.service")
		if after := pids(); after != before {
			t.Errorf("main processes %s, they were %s", after, before)
		}
		started := b.Property("hello@8081.service", "InvocationID")
		b.mentions(b.install(release{version: "4", binary: "v1", change: changed}), "")
		versions("v1")
		if started == b.Property("hello@8081.service", "InvocationID") {
			t.Error("a setting that takes a start was not applied")
		}
		b.expect("inactive", "hello@8083.service", "hello@8083.socket")
		loadtest.Verify(t, load.Stop())
		b.purge()
		if left, _ := b.Run("sh", "-c", "ls -d /etc/systemd/system/*.wants/hello*"); b.format == "deb" && !strings.Contains(left, "cannot access") {
			t.Errorf("left:\n%s", left)
		}
	})
}

// TestNotifyReload is services of which systemctl does not say whether their
// reload succeeded.
func TestNotifyReload(t *testing.T) {
	places := []place{{sdtest.V262, "deb"}, {sdtest.V257, "rpm"}} // 252 does not know of it
	if os.Getenv("HEIRLOOM_TEST_ALL") == "true" {
		places = append(places, place{sdtest.V257, "deb"})
	}
	in(t, func(t *testing.T, b *box) {
		notify := func(p *packaging.Package) { p.Service.NotifyReload = true }
		changed := func(p *packaging.Package) { notify(p); environment("red")(p) }
		b.first(release{version: "1", binary: "v1", change: notify})
		load := b.load("127.0.0.1:8080")
		b.served(load, 1)
		b.mentions(b.install(release{version: "2", binary: "v2", change: notify}), "")
		started := b.invocation()
		b.mentions(b.install(release{version: "3", binary: "startless", change: notify}), "serves on")
		b.mentions(b.install(release{version: "4", binary: "broken", change: changed}), "systemctl restart hello.service")
		if s := b.status(); s.Generation != 2 || s.Version != "v2" || b.invocation() != started {
			t.Errorf("generation %d of %s serves", s.Generation, s.Version)
		}
		b.mentions(b.install(release{version: "5", binary: "v1", change: changed}), "")
		if s := b.status(); s.Version != "v1" || b.invocation() == started {
			t.Errorf("generation %d of %s serves", s.Generation, s.Version)
		}
		// There is no dry run by a signal: the new program binds the address of
		// a new socket itself, which then cannot be opened.
		network := func(p *packaging.Package) { changed(p); p.Service.Network = units.AnyNetwork }
		more := func(p *packaging.Package) { network(p); second(p) }
		b.mentions(b.install(release{version: "6", binary: "v1", change: network}), "")
		b.mentions(b.install(release{version: "7", binary: "v2-admin", change: more}), "hello-admin.socket: not open")
		b.served(load, b.status().Generation)
		loadtest.Verify(t, load.Stop())
		b.MustRun("systemctl", "stop", "hello-admin.socket", "hello.service")
		b.MustRun("systemctl", "start", "hello.service") // as it says
		socketMore(t, b)
	}, places...)
}

// TestUserService is a service of users' managers, of which none runs here: it
// is enabled for all, and nothing else happens.
func TestUserService(t *testing.T) {
	onNewest(t, func(t *testing.T, b *box) {
		before := b.traces()
		user := func(p *packaging.Package) {
			p.Service.Scope = units.User
			p.Service.StateDirectory, p.Service.CacheDirectory = nil, nil
		}
		link := "/etc/systemd/user/default.target.wants/hello.service"
		b.mentions(b.install(release{version: "1", binary: "v1", change: user}), "")
		b.MustRun("test", "-e", link)
		out := b.install(release{version: "2", binary: "v2", change: user})
		b.MustRun("test", "-e", link)
		if b.format == "deb" {
			b.mentions(out, "systemctl --user")
		}
		b.purge()
		if after := b.traces(); after != before {
			t.Errorf("left:\n%s", after)
		}
	})
}
