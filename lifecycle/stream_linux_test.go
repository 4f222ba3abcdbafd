package lifecycle_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// replacements are the ways of a reload without a service manager, over each
// kind of socket, of which "tls" is TCP with sessions that move.
func replacements(t *testing.T, test func(t *testing.T, network, replace string)) {
	pairs(t, func(string, string) bool { return true }, test)
}

// heavyReplacements is replacements for what takes long: each kind of socket
// with one way, or all pairs if HEIRLOOM_TEST_ALL says so.
func heavyReplacements(t *testing.T, test func(t *testing.T, network, replace string)) {
	pairs(t, func(network, replace string) bool {
		return (replace == "beside") == (network == "tcp") || os.Getenv("HEIRLOOM_TEST_ALL") == "true"
	}, test)
}

func pairs(t *testing.T, chosen func(network, replace string) bool, test func(t *testing.T, network, replace string)) {
	for _, replace := range []string{"beside", "in-place"} {
		for _, network := range []string{"tcp", "unix", "tls"} {
			if !chosen(network, replace) {
				continue
			}
			t.Run(replace+"-"+network, func(t *testing.T) {
				t.Parallel()
				test(t, network, "HEIRLOOM_TEST_REPLACE="+replace)
			})
		}
	}
}

// longDrain is for tests in which no drain is to come to its deadline, or near
// to it, when clients are told to close.
const longDrain = "HEIRLOOM_TEST_DRAIN=1h"

// startEcho starts an echoServer, which must not write of anything BAD to its
// log, to the very end.
func startEcho(t *testing.T, network string, env ...string) *local {
	t.Helper()
	_ = t.TempDir() // the log is in another one, and those are removed last of all
	var d *local
	t.Cleanup(func() {
		if d != nil && strings.Contains(d.logged(), "BAD") {
			t.Errorf("the log says what should not be so:\n%s", d.logged())
		}
	})
	env = append([]string{"HEIRLOOM_TEST_ROLE=echo", longDrain}, env...)
	if network == "tls" {
		d = startLocal(t, "tcp", append(env, "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_MOVE_TLS=yes")...)
		d.secure = true
		return d
	}
	d = startLocal(t, network, env...)
	return d
}

func (d *local) write(file, text string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, file), []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
}

// awaitAlone waits until the predecessors have ended. A line that is said
// before may be answered by one of them.
func (d *local) awaitAlone() {
	d.t.Helper()
	d.eventually("the predecessors to end", func() bool { return len(d.processes()) == 1 })
}

func (c *client) say(text string) {
	c.t.Helper()
	_ = c.SetWriteDeadline(patience.Deadline(30 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) expect(line string) {
	c.t.Helper()
	_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
	got, err := c.reader.ReadString('\n')
	if got != line+"\n" || err != nil {
		c.t.Fatalf("read %.200q, %v, want %.200q", got, err, line)
	}
}

// sayHalf returns when the server has read the half of a line.
func (c *client) sayHalf(text string) {
	c.t.Helper()
	c.say(text + string(rune(enquiry)))
	c.expect("read")
}

// TestStream reloads while connections are in every state, three times.
func TestStream(t *testing.T) {
	replacements(t, func(t *testing.T, network, replace string) {
		d := startEcho(t, network, replace)
		silent, idle, half, flooded, deadlines := d.dial(), d.dial(), d.dial(), d.dial(), d.dial()
		idle.say("hello\n")
		idle.expect("1 hello")
		deadlines.say("deadline\n")
		deadlines.expect("deadline")
		for generation := 1; generation <= 3; generation++ {
			half.sayHalf(fmt.Sprintf("half-%d", generation))
			deadlines.say("deadlines\n")
			deadlines.sayHalf("part")
			flooded.say("flood\n")
			flooded.say("state of the flooded")
			flooded.awaitFlood()
			reloaded := make(chan error, 1)
			go func() {
				_, err := d.command("reload")
				reloaded <- err
			}()
			d.eventually("the reload to be under way", func() bool { return strings.Count(d.logged(), "reloading") == generation })
			flooded.readFlood()
			if err := <-reloaded; err != nil {
				t.Fatal(err)
			}
			d.awaitAlone()
			flooded.say("\n")
			flooded.expect(fmt.Sprintf("%d state of the flooded", generation+1))
			half.say("-done\n")
			half.expect(fmt.Sprintf("%d half-%d-done", generation+1, generation))
			deadlines.say("ial\n")
			deadlines.expect(fmt.Sprintf("%d partial", generation+1))
			idle.say("state\n")
			idle.expect("0 false") // nothing, but handed over
		}
		silent.say("first words\n")
		silent.expect("4 first words")
		if s := d.status(); s.Connections.Streams != 5 {
			t.Errorf("status %+v, want 5 streams", s)
		}
		fresh := d.dial()
		fresh.say("state\n")
		fresh.expect("0 true")
	})
}

// awaitFlood returns when a Write is under way that nobody reads.
func (c *client) awaitFlood() {
	c.t.Helper()
	_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
	if _, err := c.reader.Peek(1); err != nil {
		c.t.Fatal(err)
	}
}

// readFlood checks that what a Write under way has left is whole.
func (c *client) readFlood() {
	c.t.Helper()
	got := make([]byte, len(flood()))
	_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
	if _, err := io.ReadFull(c.reader, got); err != nil {
		c.t.Fatal(err)
	}
	if string(got) != string(flood()) {
		c.t.Error("what was being written during the reload did not arrive whole")
	}
}

// TestStreamLines has clients send lines all the time, in pieces, during
// fifteen reloads.
func TestStreamLines(t *testing.T) {
	heavyReplacements(t, func(t *testing.T, network, replace string) {
		d := startEcho(t, network, replace)
		stop := make(chan struct{})
		var clients sync.WaitGroup
		for range 10 {
			c := d.dial()
			clients.Go(func() { c.chatter(stop) })
		}
		for range 15 {
			d.reloadHere()
		}
		close(stop)
		clients.Wait()
	})
}

// chatter sends lines, up to five at a time and cut in pieces anywhere, and
// checks that all are answered in order, by later and later generations.
func (c *client) chatter(stop chan struct{}) {
	last := 0
	for n := 0; ; n += 5 {
		select {
		case <-stop:
			return
		default:
		}
		text := ""
		for i := range 5 {
			text += fmt.Sprintf("line %d\n", n+i)
		}
		time.Sleep(rand.N(10 * time.Millisecond)) // or they would take all of the processor
		for len(text) > 0 {
			cut := 1 + rand.IntN(len(text))
			if _, err := io.WriteString(c, text[:cut]); err != nil {
				c.t.Error(err)
				return
			}
			text = text[cut:]
		}
		for i := range 5 {
			var generation, number int
			_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
			line, err := c.reader.ReadString('\n')
			if err == nil {
				_, err = fmt.Sscanf(line, "%d line %d\n", &generation, &number)
			}
			if err != nil || number != n+i || generation < last {
				c.t.Errorf("read %q, %v, want line %d from generation %d or later", line, err, n+i, last)
				return
			}
			last = generation
		}
	}
}

// TestStreamLargeStates hands over 100 connections with as much state as there
// may be.
func TestStreamLargeStates(t *testing.T) {
	half := strings.Repeat("x", lifecycle.MaxStreamState)
	heavyReplacements(t, func(t *testing.T, network, replace string) {
		d := startEcho(t, network, replace)
		var clients []*client
		for range 100 {
			c := d.dial()
			c.sayHalf(half)
			clients = append(clients, c)
		}
		for generation := 2; generation <= 3; generation++ {
			d.reload()
			d.awaitAlone()
			for i, c := range clients {
				c.say(fmt.Sprintf("%d\nstate\n", i))
				c.expect(fmt.Sprintf("%d %s%d", generation, half, i))
				c.expect(fmt.Sprintf("%d false", lifecycle.MaxStreamState))
				c.sayHalf(half)
			}
		}
	})
}

// TestManyStreams hands over 600 connections, each with a state of its own.
// Of those of TLS it has fewer, since their handshakes take time.
func TestManyStreams(t *testing.T) {
	heavyReplacements(t, func(t *testing.T, network, replace string) {
		d := startEcho(t, network, replace)
		var clients []*client
		count := 600
		if network == "tls" {
			count = 300
		}
		for i := range count {
			c := d.dial()
			c.sayHalf(fmt.Sprintf("client %d", i))
			clients = append(clients, c)
		}
		for generation := 2; generation <= 3; generation++ {
			d.reload()
			d.awaitAlone()
			for i, c := range clients {
				c.say("\n")
				c.expect(fmt.Sprintf("%d client %d", generation, i))
				c.sayHalf(fmt.Sprintf("client %d", i))
			}
		}
		d.awaitAlone()
	})
}

// TestStreamLate has a handler take its time, so that the successor is replaced
// itself meanwhile: the one after that gets it.
func TestStreamLate(t *testing.T) {
	d := startEcho(t, "tcp", "HEIRLOOM_TEST_REPLACE=beside")
	c := d.dial()
	c.say("one\nleave late\n")
	c.expect("1 one")
	c.say("hal")
	d.reload()
	d.reload()
	d.eventually("one predecessor to be left, with a stream", func() bool {
		s := d.status()
		return len(s.Predecessors) == 1 && s.Predecessors[0].Connections.Streams == 1
	})
	d.write("late", "")
	c.say("f\n")
	c.expect("3 half")
	d.awaitAlone()
}
