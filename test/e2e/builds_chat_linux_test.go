package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/units"
)

// TestBuildsStreams has people chat while builds of examples/chat replace each
// other: their connections are streams with state, half a line among it, and
// the rooms are handed down.
func TestBuildsStreams(t *testing.T) {
	t.Parallel()
	for _, first := range []string{frozen, today} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			m := sdtest.Boot(t, sdtest.V262)
			chat := units.Service{
				Name:        "chat",
				Program:     "/usr/bin/chat",
				Sockets:     []units.Socket{{Name: "chat", Addresses: []string{"127.0.0.1:7000"}}},
				StopTimeout: 20 * time.Second,
			}
			often(&chat)
			m.Install(buildOf(t, "chat", first), chat.Program)
			installUnits(t, m, sdtest.V262, chat)
			m.MustRun("systemctl", "start", "chat.socket", "chat.service")
			ann, bob := join(t, m, "ann"), join(t, m, "bob")
			ann.say("/topic the quick brown fox\n")
			ann.hear("* ann has set the topic: the quick brown fox")
			build := first
			for i, how := range []string{"reload", "reload", "restart", "restart", "reload", "restart"} {
				if i != 2 { // to itself as well
					build = other(build)
				}
				ann.say("half of a ")
				bob.say(fmt.Sprintf("before %d\n", i))
				ann.hear(fmt.Sprintf("bob: before %d", i))
				m.Install(buildOf(t, "chat", build), chat.Program)
				m.MustRun("systemctl", how, "chat.service")
				if s := parseStatus(t, m.MustRun(chat.Program, "status", "-json")); s.Version != build || s.Generation != i+2 {
					t.Errorf("status %+v, want %s, generation %d", s, build, i+2)
				}
				ann.say(fmt.Sprintf("line %d\n", i))
				bob.hear(fmt.Sprintf("ann: half of a line %d", i))
			}
			join(t, m, "eve").hear("* You are in den: the quick brown fox")
			ann.hear("* eve has come")
			bob.hear("* eve has come")
			if !slices.Equal(ann.talk(), bob.talk()) || len(ann.talk()) != 12 {
				t.Errorf("ann heard %q, bob heard %q", ann.talk(), bob.talk())
			}
		})
	}
}

// A chatter has one connection to the chat server, to the end.
type chatter struct {
	t     *testing.T
	nc    net.Conn
	lines *bufio.Scanner
	heard []string
}

// join has somebody go to the room den.
func join(t *testing.T, m *sdtest.Machine, name string) *chatter {
	t.Helper()
	nc, err := m.Dial(t.Context(), "tcp", "127.0.0.1:7000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	c := &chatter{t: t, nc: nc, lines: bufio.NewScanner(nc)}
	c.hear("* Welcome. What is your name?")
	c.say(name + "\n")
	c.hear("* " + name + " has come")
	c.say("/join den\n")
	return c
}

func (c *chatter) say(text string) {
	c.t.Helper()
	_ = c.nc.SetWriteDeadline(patience.Deadline(callerLimit))
	if _, err := io.WriteString(c.nc, text); err != nil {
		c.t.Fatal(err)
	}
}

// hear reads up to a line.
func (c *chatter) hear(line string) {
	c.t.Helper()
	_ = c.nc.SetReadDeadline(patience.Deadline(callerLimit))
	for c.lines.Scan() {
		c.heard = append(c.heard, c.lines.Text())
		if c.lines.Text() == line {
			return
		}
	}
	c.t.Fatalf("heard %q before %v, and not %q", c.heard, c.lines.Err(), line)
}

// talk is what people have said, as far as it was read.
func (c *chatter) talk() []string {
	return slices.DeleteFunc(slices.Clone(c.heard), func(line string) bool { return strings.HasPrefix(line, "*") })
}
