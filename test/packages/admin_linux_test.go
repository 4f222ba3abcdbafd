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

// environment is a change that takes a new start.
func environment(value string) func(*packaging.Package) {
	return func(p *packaging.Package) { p.Service.Environment = []string{"COLOUR=" + value} }
}

// TestAdministrator is upgrades that meet what an administrator has done, each
// on a new installation that is purged in the end.
func TestAdministrator(t *testing.T) {
	onNewest(t, func(t *testing.T, b *box) {
		for _, story := range []struct {
			name string
			tell func(*testing.T, *box)
		}{
			{"stopped", stopped}, {"disabled", disabled}, {"disabled and stopped", disabledAndStopped}, {"masked", masked},
			{"policy", policy}, {"failed", failed}, {"never well", neverWell}, {"from a unit without a hash", unhashed},
			{"a drop-in without a hash", dropIn}, {"failed removal", failedRemoval},
		} {
			t.Run(story.name, func(t *testing.T) {
				if b.format == "rpm" && (story.name == "policy" || story.name == "failed removal") {
					return // which knows no policy, and has stopped the service then
				}
				inner := &box{Machine: b.For(t), place: b.place, t: t}
				story.tell(t, inner)
				inner.purge()
			})
		}
	})
}

func stopped(_ *testing.T, b *box) {
	b.first(release{version: "1", binary: "v1"})
	b.MustRun("systemctl", "stop", "hello.socket", "hello.service")
	b.mentions(b.install(release{version: "2", binary: "v2"}), "")
	b.mentions(b.install(release{version: "3", binary: "v1", change: environment("red")}), "")
	b.expect("inactive", "hello.service", "hello.socket")
}

func disabled(t *testing.T, b *box) {
	b.first(release{version: "1", binary: "v1"})
	b.MustRun("systemctl", "disable", "hello.service")
	b.mentions(b.install(release{version: "2", binary: "v2"}), "")
	if s := b.status(); s.Generation != 2 || s.Version != "v2" {
		t.Errorf("generation %d of %s serves", s.Generation, s.Version)
	}
	b.mentions(b.install(release{version: "1.admin", binary: "v1", change: second}), "")
	b.expect("active", "hello.service", "hello.socket", "hello-admin.socket")
	b.expectDisabled("hello.service", "hello.socket", "hello-admin.socket")
}

// second adds a socket.
func second(p *packaging.Package) {
	p.Service.Sockets = append(p.Service.Sockets, units.Socket{Name: "admin", Addresses: []string{"127.0.0.1:8081"}})
}

func (b *box) expectDisabled(units ...string) {
	b.t.Helper()
	for _, unit := range units {
		if state := b.Property(unit, "UnitFileState"); state != "disabled" {
			b.t.Errorf("%s is %s", unit, state)
		}
	}
}

func disabledAndStopped(_ *testing.T, b *box) {
	b.first(release{version: "1", binary: "v1"})
	b.MustRun("systemctl", "disable", "--now", "hello.service", "hello.socket")
	b.mentions(b.install(release{version: "2", binary: "v2"}), "")
	b.mentions(b.install(release{version: "1.admin", binary: "v1", change: second}), "")
	b.expect("inactive", "hello.service", "hello.socket", "hello-admin.socket")
	b.expectDisabled("hello.service", "hello.socket", "hello-admin.socket")
}

func masked(t *testing.T, b *box) {
	b.first(release{version: "1", binary: "v1"})
	b.MustRun("systemctl", "stop", "hello.service", "hello.socket")
	b.MustRun("systemctl", "mask", "hello.service", "hello.socket")
	b.mentions(b.install(release{version: "2", binary: "v2"}), "")
	b.expect("inactive", "hello.service", "hello.socket")
	if state := b.Property("hello.service", "LoadState"); state != "masked" {
		t.Errorf("it is %s", state)
	}
	b.MustRun("systemctl", "unmask", "hello.service", "hello.socket")
}

const policyFile = "/usr/sbin/policy-rc.d"

func policy(t *testing.T, b *box) {
	b.first(release{version: "1", binary: "v1"})
	first := b.status()
	b.WriteFile(policyFile, "#!/bin/sh\nexit 101\n", 0o755)
	b.mentions(b.install(release{version: "2", binary: "v2"}), "policy-rc.d forbids")
	b.mentions(b.install(release{version: "3", binary: "v1", change: environment("red")}), "policy-rc.d forbids")
	if s := b.status(); s.PID != first.PID {
		t.Errorf("process %d serves, it was %d", s.PID, first.PID)
	}
	b.MustRun("rm", policyFile)
	b.mentions(b.install(release{version: "2", binary: "v2"}), "")
	if s := b.status(); s.Version != "v2" {
		t.Errorf("%s serves", s.Version)
	}
}

// impatient fails for good at the second start that fails.
func impatient(p *packaging.Package) {
	p.Service.Settings = []units.Setting{{Section: "Unit", Name: "StartLimitBurst", Value: "2"}}
}

func failed(t *testing.T, b *box) {
	b.first(release{version: "1.patient", binary: "v1", change: impatient})
	b.mentions(b.install(release{version: "2.bad", binary: "startless", change: impatient}), "serves on")
	if out, err := b.Run("systemctl", "restart", "hello.service"); err == nil {
		t.Errorf("it started: %s", out)
	}
	b.Wait("the limit of starts", func() bool { return b.Property("hello.service", "ActiveState") == "failed" })
	b.mentions(b.install(release{version: "3.good", binary: "v2", change: impatient}), "")
	b.expect("active", "hello.service", "hello.socket")
}

func neverWell(_ *testing.T, b *box) {
	out := b.install(release{version: "2.bad", binary: "startless", change: impatient})
	if b.format == "rpm" {
		_, _ = b.Run("systemctl", "start", "hello.service")
	} else {
		b.mentions(out, "the start failed")
	}
	b.Wait("the limit of starts", func() bool { return b.Property("hello.service", "ActiveState") == "failed" })
	b.mentions(b.install(release{version: "3.good", binary: "v2", change: impatient}), "")
	b.expect("active", "hello.service", "hello.socket")
}

// unhashed is a process that neither has a hash nor can be asked.
func unhashed(t *testing.T, b *box) {
	b.first(release{version: "0", binary: "v1", edit: func(f *packaging.File) {
		if strings.HasSuffix(f.Name, ".service") {
			f.Text = strings.ReplaceAll(f.Text, units.HashVariable, "NOTHING")
			f.Text = strings.ReplaceAll(f.Text, "\nRuntimeDirectory=hello\n", "\n")
		}
	}})
	before := b.invocation()
	b.mentions(b.install(release{version: "2", binary: "v2"}), "")
	if s := b.status(); s.Version != "v2" || b.invocation() == before {
		t.Errorf("%s serves, restarted: %v", s.Version, b.invocation() != before)
	}
}

// dropIn takes the hash out of the unit: nobody can tell then whether a new
// start is needed.
func dropIn(t *testing.T, b *box) {
	b.first(release{version: "1", binary: "v1"})
	started := b.invocation()
	b.WriteFile("/etc/systemd/system/hello.service.d/own.conf", "[Service]\nEnvironment=\n", 0o644)
	b.mentions(b.install(release{version: "2", binary: "v2"}), "")
	if s := b.status(); s.Version != "v2" || b.invocation() != started {
		t.Errorf("%s serves, restarted: %v", s.Version, b.invocation() != started)
	}
	b.MustRun("rm", "-r", "/etc/systemd/system/hello.service.d")
}

// failedRemoval is one whose prerm has stopped the service, and then fails.
func failedRemoval(t *testing.T, b *box) {
	b.first(release{version: "1.stays", binary: "v1", edit: func(f *packaging.File) {
		if f.Name == "deb/prerm" {
			f.Text += "\n[ \"$1\" != remove ]\n"
		}
	}})
	if out, err := b.Run("dpkg", "-r", "hello"); err == nil {
		t.Errorf("it was removed: %s", out)
	}
	b.expect("active", "hello.service", "hello.socket")
	b.install(release{version: "2", binary: "v2"})
}

// TestLife is the first installation and what may follow it until nothing is
// left.
func TestLife(t *testing.T) {
	everywhere(t, func(t *testing.T, b *box) {
		daemon := func(p *packaging.Package) { p.Service.User = "hello-daemon" }
		v1, v2 := release{version: "1", binary: "v1", change: daemon}, release{version: "2", binary: "v2", change: daemon}
		before := b.traces()
		b.first(v1)
		if b.format == "deb" {
			b.WriteFile("/root/apt.deb", read(t, pack(t, b.format, v2)), 0o644)
			b.MustRun("apt-get", "install", "-q", "-y", "/root/apt.deb")
			if s := b.status(); s.Generation != 2 || s.Version != "v2" {
				t.Errorf("generation %d of %s serves", s.Generation, s.Version)
			}
		}
		b.WriteFile("/etc/default/hello", "# mine\n", 0o644)
		b.MustRun("sh", "-c", "echo kept >/var/lib/hello/state")

		b.remove()
		b.gone()
		b.kept("/var/lib/hello/state", "kept\n")
		if b.format == "deb" {
			b.kept("/etc/default/hello", "# mine\n")
		} else {
			b.kept("/etc/default/hello.rpmsave", "# mine\n")
		}
		b.first(v2) // again
		if s := b.status(); s.Generation != 1 || s.Version != "v2" {
			t.Errorf("generation %d of %s serves", s.Generation, s.Version)
		}
		if b.format == "deb" {
			b.remove()
			b.purge()
			b.first(v1)
			b.purge()
			if after := b.traces(); after != before {
				t.Errorf("left:\n%s", after)
			}
			b.MustRun("getent", "passwd", "hello-daemon") // whose number must not become somebody else's
		}
	})
}

func (b *box) kept(path, want string) {
	b.t.Helper()
	if text := b.MustRun("cat", path); text != want {
		b.t.Errorf("%s holds %q", path, text)
	}
}

// TestBroken is package managers that do not get to the end, while the service
// is busy.
func TestBroken(t *testing.T) {
	everywhere(t, func(t *testing.T, b *box) {
		b.first(release{version: "1", binary: "v1"})
		load := b.load("127.0.0.1:8080")
		b.served(load, 1)
		first := b.status()
		refused := release{version: "2.refused", binary: "v2", change: environment("red"), edit: func(f *packaging.File) {
			if f.Name == "deb/preinst" || f.Name == "rpm/pre" {
				f.Text += "\nexit 1\n"
			}
		}}
		if out, err := b.tryInstall(refused); err == nil {
			t.Errorf("it was installed: %s", out)
		}
		if s := b.status(); s.PID != first.PID {
			t.Errorf("process %d serves, it was %d", s.PID, first.PID)
		}
		if b.format == "deb" {
			b.kill(release{version: "3", binary: "v2"}, 2)
			b.kill(release{version: "4", binary: "v1", change: environment("red")}, 3)
		}
		b.mentions(b.install(release{version: "5", binary: "v2"}), "")
		if s := b.status(); s.Version != "v2" {
			t.Errorf("%s serves", s.Version)
		}
		b.served(load, b.status().Generation)
		loadtest.Verify(t, load.Stop())
	})
}

// kill kills dpkg when it asks whether it may reload the service, and then has
// it finish.
func (b *box) kill(r release, generation int) {
	b.t.Helper()
	b.WriteFile(policyFile, "#!/bin/sh\necho $$ $PPID >/run/asked.new && mv /run/asked.new /run/asked\nread -r _ </run/hold\n", 0o755)
	b.MustRun("mkfifo", "/run/hold")
	args := b.installing(r)
	dpkg := b.Start(args[0], args[1:]...)
	b.Wait("postinst", func() bool { _, err := b.Run("test", "-e", "/run/asked"); return err == nil })
	if err := dpkg.Signal(os.Kill); err != nil {
		b.t.Error(err)
	}
	b.MustRun("sh", "-c", "kill -9 $(cat /run/asked)")
	_, _ = dpkg.Wait()
	b.MustRun("rm", policyFile, "/run/hold", "/run/asked")
	b.mentions(b.MustRun("dpkg", "--configure", "-a"), "")
	if s := b.status(); s.Version != r.binary || s.Generation < generation {
		b.t.Errorf("generation %d of %s serves", s.Generation, s.Version)
	}
}

// TestWithoutSystemd installs in a chroot, and from the outside into one.
func TestWithoutSystemd(t *testing.T) {
	in(t, func(t *testing.T, b *box) {
		before := b.traces()
		b.MustRun("mount", "--bind", "/", "/mnt")
		args := b.installing(release{version: "1", binary: "v1"})
		for _, how := range [][]string{
			append([]string{"chroot", "/mnt"}, args...),
			{"dpkg", "--root=/mnt", "--force-script-chrootless", "-i", args[len(args)-1]},
		} {
			b.mentions(b.MustRun(how[0], how[1:]...), "")
			b.MustRun("systemctl", "daemon-reload")
			b.expect("inactive", "hello.service", "hello.socket")
			for _, unit := range []string{"hello.service", "hello.socket"} {
				if state := b.Property(unit, "UnitFileState"); state != "enabled" {
					t.Errorf("%v: %s is %s", how, unit, state)
				}
			}
			purge := append(how[:len(how)-2:len(how)-2], "-P", "hello")
			b.MustRun(purge[0], purge[1:]...)
			if after := b.traces(); after != before {
				t.Errorf("left:\n%s", after)
			}
			b.MustRun("systemctl", "daemon-reload")
		}
	}, place{sdtest.V262, "deb"})
}
