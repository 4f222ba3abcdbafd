package lifecycle_test

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/freeport"
)

// TestAddressChanges reloads into a configuration with another address: it is
// bound anew, connections move all the same, and the old address is given up.
func TestAddressChanges(t *testing.T) {
	d := startLocal(t, "tcp")
	kept := d.dial()
	kept.ask("/")
	kept.answer(1)
	old := d.address
	d.address = freeport.Address(t, "tcp")
	d.reconfigure("http!" + d.address)
	d.reload()
	d.awaitAlone()
	kept.ask("/")
	if kept.answer(2) {
		t.Error("the connection closes")
	}
	fresh := d.dial()
	fresh.ask("/")
	fresh.answer(2)
	d.eventually("the old address to be given up", func() bool { return refused(old) })
}

// TestListenerGoesAway reloads into a configuration without the listener: its
// connections have no successor, and are told so.
func TestListenerGoesAway(t *testing.T) {
	t.Parallel()
	for _, linger := range lingers {
		t.Run(linger, func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_LINGER="+linger)
			c := d.dial()
			c.ask("/")
			c.answer(1)
			d.reconfigure("other!" + freeport.Address(t, "tcp"))
			d.reload()
			c.leave(linger)
			d.eventually("the predecessor to end", func() bool { return len(d.processes()) == 1 })
			if !refused(d.address) {
				t.Error("the address is still bound")
			}
		})
	}
}

// lingers are one within which a client asks, on whatever machine, and one
// whose end an idle client sees.
var lingers = []string{"1h", "300ms"}

// leave has a client whose connection cannot move be told so by the next
// answer, or for want of one when the linger is over.
func (c *client) leave(linger string) {
	c.t.Helper()
	if linger == lingers[0] {
		c.ask("/")
		if !c.answer(1) {
			c.t.Error("the connection was not told that it closes")
		}
	}
	c.closed()
}

// TestAddressTaken reloads into a configuration whose address another process
// has: the reload fails and says so.
func TestAddressTaken(t *testing.T) {
	d := startLocal(t, "tcp")
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	d.reconfigure("http!" + other.Addr().String())
	if out, err := d.command("reload"); err == nil || !strings.Contains(out, "address already in use") || !strings.Contains(out, other.Addr().String()) {
		t.Errorf("reload: %v, %s, want the address that is in use", err, out)
	}
	c := d.dial()
	c.ask("/")
	c.answer(1)
}

func refused(address string) bool {
	nc, err := net.Dial("tcp", address)
	if err == nil {
		_ = nc.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
