package lifecycle_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// limitDescriptors sets RLIMIT_NOFILE as the test wants it.
func limitDescriptors() error {
	text := os.Getenv("HEIRLOOM_TEST_NOFILE")
	if text == "" {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n})
}

// establishedTwice returns how many established TCP connections are open in
// both processes.
func establishedTwice(t *testing.T, pid, other int) int {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	established := map[string]bool{}
	for _, line := range strings.Split(string(table), "\n") {
		if f := strings.Fields(line); len(f) > 9 && f[3] == "01" {
			established["socket:["+f[9]+"]"] = true
		}
	}
	n := 0
	there := sockets(other)
	for s := range sockets(pid) {
		if established[s] && there[s] {
			n++
		}
	}
	return n
}

// TestNearLimit reloads daemons that have nearly as many connections as their
// RLIMIT_NOFILE allows, most of them idle, some with a request, from a limit at
// which there is no room for a reload up to one at which all move at once. A
// reload that fails says why, and whatever happens no request is broken and no
// connection is in two processes.
func TestNearLimit(t *testing.T) {
	for _, c := range []struct{ limit, idle, busy int }{
		{64, 44, 0}, {64, 35, 2}, {64, 20, 4},
		{256, 238, 0}, {256, 232, 2}, {256, 225, 5}, {256, 150, 5},
		{600, 580, 0}, {600, 570, 5}, {600, 400, 20},
	} {
		t.Run(fmt.Sprintf("%d of %d", c.idle+c.busy, c.limit), func(t *testing.T) {
			testNearLimit(t, c.limit, c.idle, c.busy)
		})
	}
}

func testNearLimit(t *testing.T, limit, idle, busy int) {
	d := startLocal(t, "tcp", fmt.Sprint("HEIRLOOM_TEST_NOFILE=", limit), "HEIRLOOM_TEST_LINGER=100ms", "HEIRLOOM_TEST_DRAIN=1h")
	first := d.processes()[0]
	var working []*client
	for range busy {
		c := d.dial()
		c.ask("/?d=2s")
		working = append(working, c)
	}
	clients := d.idleClients(idle)
	out, err := d.command("reload")
	if err != nil {
		if !strings.Contains(out, "RLIMIT_NOFILE") {
			t.Errorf("reload: %v: %s, want one word of RLIMIT_NOFILE", err, out)
		}
		t.Logf("reload: %s", out)
	} else {
		d.inTheEnd("no connection to be in two processes", func() bool {
			for _, pid := range d.processes() {
				if pid != first && establishedTwice(t, first, pid) > 0 {
					return false
				}
			}
			return true
		})
	}
	stay, moved := 0, 0
	for _, c := range append(clients, working...) {
		if c != nil && len(working) > 0 && c == working[0] {
			t.Logf("%d stay, %d moved", stay, moved)
		}
		if !slices.Contains(working, c) {
			c.ask("/")
		}
		switch generation, closes := c.anyAnswer(); {
		case closes:
			t.Errorf("a client was told to close")
		case generation == 1:
			stay++
		default:
			moved++
		}
	}
	t.Logf("%d stay, %d moved", stay, moved)
	if err == nil && idle+busy+30 < limit {
		d.inTheEnd("the predecessor to end", func() bool { return len(d.processes()) == 1 })
	}
}

// inTheEnd is eventually for a crowd.
func (d *local) inTheEnd(what string, cond func() bool) {
	d.t.Helper()
	if !patience.Until(4*time.Minute, cond) {
		d.t.Fatalf("waited for %s", what)
	}
}

// anyAnswer reads an answer and returns which generation it is from, and
// whether it announces the end of the connection.
func (c *client) anyAnswer() (generation int, closes bool) {
	c.t.Helper()
	_ = c.SetReadDeadline(patience.Deadline(time.Minute))
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(body), "hello from generation %d", &generation); err != nil {
		c.t.Fatalf("answer %q: %v", body, err)
	}
	return generation, response.Close
}

// TestNearLimitInPlace replaces such daemons in place: what is queued for the
// new program finds room there.
func TestNearLimitInPlace(t *testing.T) {
	for _, idle := range []int{150, 220, 225, 230, 232, 234, 236, 238, 240, 242, 244} {
		t.Run(fmt.Sprint(idle), func(t *testing.T) {
			d, _ := startInPlace(t, "HEIRLOOM_TEST_NOFILE=256")
			clients := d.idleClients(min(idle, 256-len(descriptors(t, d.processes()[0]))-1))
			out, err := d.command("reload")
			want := 2
			if err != nil {
				want = 1
				if !strings.Contains(out, "RLIMIT_NOFILE") {
					t.Errorf("reload: %v: %s, want one word of RLIMIT_NOFILE", err, out)
				}
			}
			for _, c := range clients {
				c.ask("/")
			}
			for _, c := range clients {
				if generation, closes := c.anyAnswer(); generation != want || closes {
					t.Errorf("an answer of generation %d, the last: %t; want %d", generation, closes, want)
				}
			}
			t.Logf("%d connections: generation %d, %v", len(clients), want, err)
		})
	}
}

func descriptors(t *testing.T, pid int) []os.DirEntry {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return open
}

// TestRoomLater has a successor without room for all connections: the others
// stay, are served as ever, and move when some of those have ended.
func TestRoomLater(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_NOFILE=256", "HEIRLOOM_TEST_LINGER=100ms", "HEIRLOOM_TEST_DRAIN=1h")
	clients := d.idleClients(230) // so many that some stay, and few enough for the reload itself
	d.reload()
	stay, moved := divided(t, clients, 100)
	for _, c := range moved[:50] {
		_ = c.Close()
	}
	d.eventually("all to have moved", func() bool { return len(d.processes()) == 1 })
	for _, c := range stay {
		c.ask("/")
		if generation, closes := c.anyAnswer(); generation != 2 || closes {
			t.Errorf("an answer of generation %d, the last: %t", generation, closes)
		}
	}
	for _, text := range []string{"no room for connections: they stay for now", "has room for connections again"} {
		if n := strings.Count(d.logged(), text); n != 1 {
			t.Errorf("the log says %q %d times", text, n)
		}
	}
}

// divided asks over each connection, and returns those that have stayed with
// generation 1 and those that have moved: some, and at least so many.
func divided(t *testing.T, clients []*client, least int) (stay, moved []*client) {
	t.Helper()
	for _, c := range clients {
		c.ask("/")
		generation, closes := c.anyAnswer()
		if closes {
			t.Fatal("a client was told to close")
		}
		if generation == 1 {
			stay = append(stay, c)
		} else {
			moved = append(moved, c)
		}
	}
	if len(stay) == 0 || len(moved) < least {
		t.Fatalf("%d stay, %d moved: the limit does not show", len(stay), len(moved))
	}
	return stay, moved
}

// TestRoomElsewhere: a listener that the successor does not have has nothing to
// wait for when that has no room, and its clients are told to close. Late in the
// drain those of the others are as well.
func TestRoomElsewhere(t *testing.T) {
	for _, late := range []bool{false, true} {
		ours, end, err := handover.Pair()
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(end)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		nc, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if first, second := lifecycle.DrainFull(ours, nc, late); first == late || second {
			t.Errorf("late: %v, serves on: %v the successor's listener, %v another", late, first, second)
		}
	}
}
