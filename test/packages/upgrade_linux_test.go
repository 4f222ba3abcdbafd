package packages_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/packaging"
)

// TestUpgrade is twenty upgrades and a downgrade of a service that is busy.
func TestUpgrade(t *testing.T) {
	everywhere(t, func(t *testing.T, b *box) {
		b.first(release{version: "1", binary: "v1"})
		socket, started := b.Property("hello.socket", "InvocationID"), b.invocation()
		load := b.load("127.0.0.1:8080")
		b.served(load, 1)
		binaries := []string{"v1", "v2"}
		rounds := sdtest.Rounds(b.systemd, 20)
		for i := 1; i <= rounds; i++ {
			out := b.install(release{version: fmt.Sprint(1 + i), binary: binaries[i%2]})
			b.mentions(out, "")
			if s := b.status(); s.Generation != 1+i || s.Version != binaries[i%2] {
				t.Fatalf("upgrade %d: generation %d of %s serves", i, s.Generation, s.Version)
			}
		}
		b.mentions(b.install(release{version: "1", binary: "v1"}), "")
		if s := b.status(); s.Generation != rounds+2 || s.Version != "v1" {
			t.Errorf("after the downgrade generation %d of %s serves", s.Generation, s.Version)
		}
		b.served(load, rounds+2)
		loadtest.Verify(t, load.Stop())
		if now := b.Property("hello.socket", "InvocationID"); now != socket {
			t.Error("the socket was opened anew")
		}
		b.expect("active", "hello.socket")
		if b.invocation() != started {
			t.Error("the service was restarted")
		}
	})
}

// change is one upgrade of TestChanges, and what is to become of it.
type change struct {
	what    string
	binary  string
	apply   func(*packaging.Package)
	says    string
	serves  string // the version that must answer then
	restart bool   // by a start, not by a reload alone
	check   func(*testing.T, *box)
}

func changes() []change {
	const kept, settled, restart = "serves on", "", "systemctl restart hello.service"
	live := func(p *packaging.Package) { p.Service.StopTimeout = 25 * time.Second }
	fresh := func(p *packaging.Package) { live(p); environment("blue")(p) }
	socket := func(p *packaging.Package) { fresh(p); second(p) }
	network := func(p *packaging.Package) { fresh(p); p.Service.Network = units.AnyNetwork }
	user := func(p *packaging.Package) { network(p); second(p); p.Service.User = "hello-daemon" }
	return []change{
		{"a live setting", "v2", live, settled, "v2", false, liveSetting},
		{"a program that does not start", "startless", live, kept, "v2", false, nil},
		{"a program of which nothing works", "broken", live, kept, "v2", false, nil},
		{"a setting that takes a start, and a program that does not", "startless", fresh, restart, "v2", false, nil},
		{"a setting that takes a start, and a program of which nothing works", "broken", fresh, restart, "v2", false, nil},
		{"a setting that takes a start", "v1", fresh, settled, "v1", true, nil},
		{"a socket more, which the new program cannot bind itself", "v2-admin", socket, settled, "v2", true, socketMore},
		{"a socket less, and the network", "v1", network, settled, "v1", true, socketLess},
		{"another user, and the socket again, which the new program could bind", "v2-admin", user, settled, "v2", true, anotherUser},
	}
}

// TestChanges is the upgrades that differ in more than the program, and bad
// programs between them. All of it is one story, of a service that is busy
// throughout.
func TestChanges(t *testing.T) {
	everywhere(t, func(t *testing.T, b *box) {
		b.first(release{version: "1", binary: "v1"})
		socket := b.Property("hello.socket", "InvocationID")
		load := b.load("127.0.0.1:8080")
		b.served(load, 1)
		for i, c := range changes() {
			before, started := b.status(), b.invocation()
			out := b.install(release{version: fmt.Sprint(2 + i), binary: c.binary, change: c.apply})
			b.mentions(out, c.says)
			after := b.status()
			if after.Version != c.serves || after.State != lifecycle.Ready {
				t.Errorf("%s: %s of %s serves:\n%s", c.what, after.State, after.Version, out)
			}
			if same := before.PID == after.PID; same != (c.says != "") {
				t.Errorf("%s: main process %d, it was %d", c.what, after.PID, before.PID)
			}
			if anew := started != b.invocation(); anew != c.restart {
				t.Errorf("%s: restarted: %v, want %v:\n%s", c.what, anew, c.restart, out)
			}
			if c.check != nil {
				c.check(t, b)
			}
		}
		b.served(load, b.status().Generation)
		loadtest.Verify(t, load.Stop())
		if now := b.Property("hello.socket", "InvocationID"); now != socket {
			t.Error("the socket was opened anew")
		}
		b.expect("active", "hello.socket")
	})
}

func liveSetting(t *testing.T, b *box) {
	if limit := b.Property("hello.service", "TimeoutStopUSec"); limit != "25s" {
		t.Errorf("TimeoutStopUSec is %s", limit)
	}
}

func socketMore(t *testing.T, b *box) {
	b.expect("active", "hello-admin.socket")
	nc, err := b.Dial(t.Context(), "tcp", "127.0.0.1:8081")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	answer := make([]byte, 12)
	_, err = fmt.Fprint(nc, "GET / HTTP/1.0\r\n\r\n")
	if _, readErr := io.ReadFull(nc, answer); err != nil || readErr != nil || string(answer) != "HTTP/1.0 404" {
		t.Errorf("the new socket answers %q, %v", answer, errors.Join(err, readErr))
	}
	if state := b.Property("hello-admin.socket", "UnitFileState"); state != "enabled" && b.format == "deb" {
		t.Errorf("the new socket is %s", state)
	}
}

func socketLess(t *testing.T, b *box) {
	b.expect("inactive", "hello-admin.socket")
	left := b.MustRun("find", "/etc/systemd/system", "/var/lib/systemd", "-name", "hello-admin*")
	if left != "" {
		t.Errorf("the old socket left:\n%s", left)
	}
}

func anotherUser(t *testing.T, b *box) {
	socketMore(t, b)
	if who := b.MustRun("sh", "-c", "stat -c %U /proc/$(systemctl show -P MainPID hello.service)"); who != "hello-daemon\n" {
		t.Errorf("the user is %s", who)
	}
}
