package lifecycle_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

func startSuccessors(t *testing.T, env ...string) *local {
	t.Helper()
	return startLocal(t, "tcp", append(env, "HEIRLOOM_TEST_ROLE=successors")...)
}

// account asks for the account over a connection that is kept.
func (c *client) account() account {
	c.t.Helper()
	c.say("account\n")
	_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
	line, err := c.reader.ReadString('\n')
	var a account
	if err == nil {
		err = json.Unmarshal([]byte(line), &a)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// checkSuccessor checks that this generation got everything that the one before
// had to give.
func checkSuccessor(t *testing.T, got account, generation int) {
	t.Helper()
	want := account{
		Generation:  generation,
		Count:       generation - 1,
		Version:     generation - 1,
		Empty:       true,
		Big:         true,
		Pipe:        fmt.Sprintf("from generation %d\n", generation-1),
		UDP:         got.UDP,
		Unknown:     true,
		Second:      true,
		Descriptors: got.Descriptors,
	}
	if got != want {
		t.Errorf("account %+v\nwant    %+v", got, want)
	}
}

// askUDP checks that somebody answers a datagram.
func askUDP(t *testing.T, nc net.Conn, generation int) {
	t.Helper()
	_ = nc.SetDeadline(patience.Deadline(30 * time.Second))
	answer := make([]byte, 100)
	_, err := nc.Write([]byte("hello"))
	n := 0
	if err == nil {
		n, err = nc.Read(answer)
	}
	if want := fmt.Sprintf("%d hello", generation); err != nil || string(answer[:n]) != want {
		t.Errorf("datagram %q, %v, want %q", answer[:n], err, want)
	}
}

// TestPassedState hands passed states down through twenty generations, and
// leaks nothing on the way.
func TestPassedState(t *testing.T) {
	t.Parallel()
	for _, replace := range []string{"beside", "in-place"} {
		t.Run(replace, func(t *testing.T) {
			t.Parallel()
			d := startSuccessors(t, "HEIRLOOM_TEST_REPLACE="+replace)
			c := d.dial()
			first := c.account()
			if want := (account{Generation: 1, UDP: first.UDP, Unknown: true, Second: true, Descriptors: first.Descriptors}); first != want {
				t.Errorf("account %+v, want %+v", first, want)
			}
			udp, err := net.Dial("udp", first.UDP)
			if err != nil {
				t.Fatal(err)
			}
			defer udp.Close()
			descriptors := 0
			for generation := 2; generation <= 21; generation++ {
				d.reloadHere()
				d.awaitAlone()
				checkSuccessor(t, c.account(), generation)
				askUDP(t, udp, generation)
				if generation == 2 {
					descriptors = c.fewestDescriptors()
				}
			}
			c.holdsNoMore(descriptors)
		})
	}
}

// fewestDescriptors is how many descriptors the process has open when it is
// done with its predecessor and with commands.
func (c *client) fewestDescriptors() int {
	c.t.Helper()
	fewest := c.account().Descriptors
	for range 50 {
		time.Sleep(5 * time.Millisecond) // for nobody tells
		fewest = min(fewest, c.account().Descriptors)
	}
	return fewest
}

// holdsNoMore checks that the process comes down to as few descriptors.
func (c *client) holdsNoMore(descriptors int) {
	c.t.Helper()
	var got int
	err := eventually(func() bool {
		got = c.account().Descriptors
		return got <= descriptors
	})
	if err != nil {
		c.t.Errorf("%d open descriptors, want %d as before", got, descriptors)
	}
}

// TestPassedStateIgnored has successors that never ask for what they are given:
// it is closed.
func TestPassedStateIgnored(t *testing.T) {
	t.Parallel()
	for _, replace := range []string{"beside", "in-place"} {
		t.Run(replace, func(t *testing.T) {
			t.Parallel()
			d := startSuccessors(t, "HEIRLOOM_TEST_REPLACE="+replace)
			d.write("ignore", "")
			c := d.dial()
			descriptors := c.fewestDescriptors()
			for range 20 {
				d.reloadHere()
				d.awaitAlone()
			}
			c.holdsNoMore(descriptors)
		})
	}
}

// TestPassStateFails has a passed state that cannot be had, or is too large.
func TestPassStateFails(t *testing.T) {
	for mode, reason := range map[string]string{"fail": "the dog ate it", "large": "too large to hand down"} {
		t.Run(mode+"-beside", func(t *testing.T) {
			d := startSuccessors(t, "HEIRLOOM_TEST_REPLACE=beside")
			c := d.dial()
			d.write(mode, "")
			if out, err := d.command("reload"); err == nil || !strings.Contains(out, reason) || !strings.Contains(out, `"trouble"`) {
				t.Errorf("reload: %v: %s, want it to fail with %q", err, out, reason)
			}
			if a := c.account(); a.Generation != 1 {
				t.Errorf("account %+v, want generation 1", a)
			}
		})
		t.Run(mode+"-in-place", func(t *testing.T) {
			d := startSuccessors(t, "HEIRLOOM_TEST_REPLACE=in-place")
			c := d.dial()
			d.write(mode, "")
			d.reload()
			got := c.account()
			checkSuccessor(t, got, 2) // all the others
			if !strings.Contains(d.logged(), reason) {
				t.Errorf("the log does not say %q:\n%s", reason, d.logged())
			}
		})
	}
}

// TestPassedStateAfterFailedStart has a successor fail after New: the next one
// gets everything.
func TestPassedStateAfterFailedStart(t *testing.T) {
	d := startSuccessors(t, "HEIRLOOM_TEST_REPLACE=beside")
	c := d.dial()
	d.write("exit", "")
	if out, err := d.command("reload"); err == nil || !strings.Contains(out, "told to exit") {
		t.Errorf("reload: %v: %s", err, out)
	}
	d.reload()
	d.awaitAlone()
	got := c.account()
	checkSuccessor(t, got, 2)
}

// TestPassedStateManaged hands passed states down through reloads and restarts,
// a start that fails, a crash and a stop on each systemd.
func TestPassedStateManaged(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			d, c := startManagedSuccessors(t, v)
			udp, err := d.machine.Dial(background, "udp", c.account().UDP)
			if err != nil {
				t.Fatal(err)
			}
			defer udp.Close()
			generation, descriptors := 1, 0
			for _, verb := range strings.Fields(strings.Repeat("restart reload restart restart reload ", 2)) {
				d.machine.MustRun("systemctl", verb, "daemon.service")
				generation++
				d.awaitService("0", generation)
				checkSuccessor(t, c.account(), generation)
				askUDP(t, udp, generation)
				if generation == 6 {
					descriptors = c.fewestDescriptors()
				}
			}
			c.holdsNoMore(descriptors)
			d.machine.WriteFile("/srv/fail", "", 0o644)
			d.machine.MustRun("systemctl", "restart", "daemon.service")
			generation++
			got := c.account()
			checkSuccessor(t, got, generation) // all but what failed
			if !strings.Contains(d.machine.Journal("-u", "daemon.service"), "the dog ate it") {
				t.Error("the journal does not say why a passed state failed")
			}
			d.machine.MustRun("rm", "/srv/fail")
			d.crash(generation + 1)
		})
	}
}

func startManagedSuccessors(t *testing.T, v sdtest.Version, lines ...string) (*managedDaemon, *client) {
	t.Helper()
	d := startManagedRole(t, v, "successors", "tcp!127.0.0.1:8080", "", lines...)
	return d, d.dial()
}

func (d *managedDaemon) dial() *client {
	d.t.Helper()
	nc, err := d.machine.Dial(background, "tcp", "127.0.0.1:8080")
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = nc.Close() })
	return &client{d.t, nc, bufio.NewReader(nc)}
}

// crash kills the main process. What it had to give is gone with it, and the
// next generation does without.
func (d *managedDaemon) crash(generation int) {
	d.t.Helper()
	d.machine.Wait("the queue to be read", func() bool {
		return strings.Contains(d.machine.Journal("-u", "daemon.service"), fmt.Sprintf("took over connections: generation=%d ", generation-2))
	})
	d.machine.MustRun("systemctl", "kill", "--kill-whom=main", "-s", "KILL", "daemon.service")
	d.awaitService("1", generation)
	got := d.dial().account()
	want := account{Generation: generation, UDP: got.UDP, Unknown: true, Second: true, Descriptors: got.Descriptors}
	if got != want {
		d.t.Errorf("after a crash: account %+v, want %+v", got, want)
	}
}

// TestPassedStateFailedStartManaged has the process that a restart starts fail
// after New: the one that systemd starts then gets passed states and
// connections.
func TestPassedStateFailedStartManaged(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			d, c := startManagedSuccessors(t, v)
			c.account()
			d.machine.WriteFile("/srv/exit", "", 0o644)
			_, _ = d.machine.Run("systemctl", "restart", "daemon.service")
			d.awaitService("1", 2)
			got := c.account()
			checkSuccessor(t, got, 2)
		})
	}
}

// TestPassedStateAfterStop stops and starts the service, which gives it
// nothing, unless its unit preserves its store.
func TestPassedStateAfterStop(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		for _, preserve := range []bool{false, true} {
			if preserve && v == sdtest.V252 {
				continue // which does not know FileDescriptorStorePreserve=
			}
			t.Run(fmt.Sprintf("%s-%t", v, preserve), func(t *testing.T) {
				t.Parallel()
				lines := []string{}
				if preserve {
					lines = append(lines, "FileDescriptorStorePreserve=yes", "[Install]", "WantedBy=multi-user.target")
				}
				d, c := startManagedSuccessors(t, v, lines...)
				if preserve { // 257 forgets a unit, with what it stores, that nothing refers to
					d.machine.MustRun("systemctl", "enable", "daemon.service")
				}
				c.account()
				d.machine.MustRun("systemctl", "stop", "daemon.service")
				if !preserve {
					c.closed()
				}
				d.machine.MustRun("systemctl", "start", "daemon.service")
				if preserve {
					got := c.account()
					checkSuccessor(t, got, 2)
					return
				}
				got := d.dial().account()
				if want := (account{Generation: 1, UDP: got.UDP, Unknown: true, Second: true, Descriptors: got.Descriptors}); got != want {
					t.Errorf("account %+v, want %+v", got, want)
				}
			})
		}
	}
}
