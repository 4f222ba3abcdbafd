package lifecycle_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

const (
	chatRooms   = 10
	chatMembers = 10                     // of each room
	chatPause   = 100 * time.Millisecond // at the most
)

// A party of chatters talks all the time, and each checks all that it hears.
type chatters struct {
	t       *testing.T
	all     []*chatter
	stop    chan struct{}
	talking sync.WaitGroup
	hearing sync.WaitGroup

	mu    sync.Mutex
	order map[string]string // what the room has heard as that number
}

type chatter struct {
	room, name string
	net.Conn
	input  *bufio.Reader
	said   int
	echoes chan struct{} // receives when a line of its own comes back
	heard  atomic.Int64
}

type dialFunc func() (net.Conn, error)

// startChatters returns when all have joined, and begin to talk.
func startChatters(t *testing.T, dial dialFunc) *chatters {
	t.Helper()
	p := &chatters{t: t, stop: make(chan struct{}), order: make(map[string]string)}
	t.Cleanup(p.hangUp)
	for i := range chatRooms * chatMembers {
		nc, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		c := &chatter{
			room:   fmt.Sprintf("room%d", i%chatRooms),
			name:   fmt.Sprintf("member%d", i),
			Conn:   nc,
			input:  bufio.NewReader(nc),
			echoes: make(chan struct{}, 1),
		}
		p.all = append(p.all, c)
		_ = nc.SetDeadline(patience.Deadline(30 * time.Second))
		fmt.Fprintf(nc, "%s %s\n", c.room, c.name)
		if line, err := c.input.ReadString('\n'); err != nil || line != "* welcome\n" {
			t.Fatalf("%s was welcomed with %q, %v", c.name, line, err)
		}
		_ = nc.SetDeadline(time.Time{})
	}
	for _, c := range p.all {
		p.talking.Go(func() { p.talk(c) })
		p.hearing.Go(func() { p.hear(c) })
	}
	return p
}

// talk says numbered lines, each in two pieces, and each when it has heard the
// one before.
func (p *chatters) talk(c *chatter) {
	for {
		select {
		case <-p.stop:
			return
		case <-time.After(rand.N(chatPause)):
		}
		c.said++
		line := fmt.Sprintf("line %d\n", c.said)
		cut := rand.IntN(len(line))
		for _, piece := range []string{line[:cut], line[cut:]} {
			if _, err := c.Write([]byte(piece)); err != nil {
				p.t.Errorf("%s cannot say line %d: %v", c.name, c.said, err)
				return
			}
		}
		select {
		case <-c.echoes:
		case <-time.After(patience.Of(30 * time.Second)):
			p.t.Errorf("%s has not heard its own line %d", c.name, c.said)
			return
		}
	}
}

// hear checks that the numbers of the room, and those of each member, have no
// gap, and that everybody hears the same.
func (p *chatters) hear(c *chatter) {
	last := make(map[string]int) // what each member has said
	for number := 1; ; number++ {
		text, err := c.input.ReadString('\n')
		if err != nil {
			select {
			case <-p.stop:
			default:
				p.t.Errorf("%s was disconnected after %d lines: %v", c.name, number-1, err)
			}
			return
		}
		var gotNumber, line int
		var from string
		if _, err := fmt.Sscanf(text, "%d %s line %d\n", &gotNumber, &from, &line); err != nil {
			p.t.Errorf("%s heard %q: %v", c.name, text, err)
			return
		}
		from = strings.TrimSuffix(from, ":")
		if gotNumber != number || line != last[from]+1 {
			p.t.Errorf("%s heard %q, want number %d and line %d", c.name, text, number, last[from]+1)
			return
		}
		last[from] = line
		p.compare(c.room, text)
		c.heard.Add(1)
		if from == c.name {
			c.echoes <- struct{}{}
		}
	}
}

func (p *chatters) compare(room, text string) {
	number, said, _ := strings.Cut(text, " ")
	p.mu.Lock()
	defer p.mu.Unlock()
	key := room + " " + number
	if before, ok := p.order[key]; ok && before != said {
		p.t.Errorf("%s: one member heard %q as number %s, another %q", room, said, number, before)
	}
	p.order[key] = said
}

// heard is how many lines all have heard together.
func (p *chatters) heard() (n int64) {
	for _, c := range p.all {
		n += c.heard.Load()
	}
	return n
}

// hearMore waits until much more was heard, in every room.
func (p *chatters) hearMore() {
	p.t.Helper()
	before := make([]int64, len(p.all))
	for i, c := range p.all {
		before[i] = c.heard.Load()
	}
	err := eventually(func() bool {
		for i, c := range p.all {
			if c.heard.Load() < before[i]+3 {
				return p.t.Failed()
			}
		}
		return true
	})
	if err != nil || p.t.Failed() {
		p.t.Fatalf("the rooms have fallen silent: %v", err)
	}
}

// verify ends the talk and waits until everybody has heard all that was said in
// its room.
func (p *chatters) verify() {
	p.t.Helper()
	close(p.stop)
	p.talking.Wait()
	said := make(map[string]int64)
	for _, c := range p.all {
		said[c.room] += int64(c.said)
	}
	err := eventually(func() bool {
		for _, c := range p.all {
			if c.heard.Load() < said[c.room] {
				return false
			}
		}
		return true
	})
	if err != nil {
		p.t.Errorf("not everybody has heard everything: %v", err)
	}
	p.t.Logf("heard %d lines", p.heard())
}

func (p *chatters) hangUp() {
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	for _, c := range p.all {
		_ = c.Close()
	}
	p.talking.Wait()
	p.hearing.Wait()
}

// TestChat reloads a chat 25 times, by a successor beside the process and in
// place.
func TestChat(t *testing.T) {
	t.Parallel()
	for _, replace := range []string{"beside", "in-place"} {
		for _, network := range []string{"tcp", "unix", "tls"} {
			t.Run(replace+"-"+network, func(t *testing.T) {
				t.Parallel()
				env := []string{"HEIRLOOM_TEST_ROLE=chat", "HEIRLOOM_TEST_REPLACE=" + replace}
				if network == "tls" {
					network, env = "tcp", append(env, "HEIRLOOM_TEST_MOVE_TLS=yes")
				}
				d := startLocal(t, network, env...)
				d.secure = len(env) > 2
				p := startChatters(t, func() (net.Conn, error) { return d.dial().Conn, nil })
				const rounds = 15
				for range rounds {
					d.reloadHere()
					p.hearMore()
				}
				p.verify()
				d.eventually("all members to have moved", func() bool { return d.status().Connections.Streams == len(p.all) })
				if s := d.status(); s.Generation != rounds+1 {
					t.Errorf("generation %d serves, want %d", s.Generation, rounds+1)
				}
			})
		}
	}
}

// TestChatStorm reloads while the members are still on their way from the
// reload before.
func TestChatStorm(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=chat")
	p := startChatters(t, func() (net.Conn, error) { return net.Dial(d.network, d.address) })
	for range 30 {
		d.reloadHere()
	}
	p.hearMore()
	p.verify()
}

// TestChatManaged alternates reloads and restarts of a chat on each systemd.
func TestChatManaged(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		for _, test := range []struct{ name, listen, socket, more string }{
			{"alone", "tcp!127.0.0.1:8080", "", ""},
			{"socket", "tcp!127.0.0.1:8080", "127.0.0.1:8080", ""},
			{"unix", "unix!/srv/chat", "", ""},
			{"tls", "tcp!127.0.0.1:8080", "", "Environment=HEIRLOOM_TEST_MOVE_TLS=yes"},
		} {
			t.Run(test.name+"-"+v.String(), func(t *testing.T) {
				t.Parallel()
				d := startManagedRole(t, v, "chat", test.listen, test.socket, test.more)
				network, address, _ := strings.Cut(test.listen, "!")
				p := startChatters(t, func() (net.Conn, error) {
					nc, err := d.machine.Dial(context.Background(), network, address)
					if err == nil && test.name == "tls" {
						nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
					}
					return nc, err
				})
				rounds := sdtest.Rounds(v, 30)
				for i := range rounds {
					verb := "restart"
					if i%2 == 0 {
						verb = "reload"
					}
					d.machine.MustRun("systemctl", verb, "daemon.service")
					p.hearMore()
				}
				p.verify()
				d.awaitService("0", rounds+1)
				p.hangUp()
				d.machine.MustRun("systemctl", "stop", "daemon.service")
				if _, err := d.machine.Run("test", "-e", "/srv/chat"); err == nil {
					t.Error("the stopped service has left its socket's path behind")
				}
			})
		}
	}
}

// startManagedRole starts a program of the tests under systemd, with a socket
// unit unless socket is empty.
func startManagedRole(t *testing.T, v sdtest.Version, role, listen, socket string, lines ...string) *managedDaemon {
	t.Helper()
	d := &managedDaemon{t, sdtest.Boot(t, v)}
	unit := strings.NewReplacer(
		"HEIRLOOM_TEST_ROLE=daemon", "HEIRLOOM_TEST_ROLE="+role,
		"tcp!127.0.0.1:8080", listen,
	).Replace(daemonService)
	units := []string{"daemon.service"}
	if socket == "" {
		unit = strings.Replace(unit, "Sockets=daemon.socket\n", "", 1)
	} else {
		units = append(units, "daemon.socket")
		unit = "[Unit]\nRequires=daemon.socket\n" + unit
		d.machine.WriteFile("/etc/systemd/system/daemon.socket",
			"[Socket]\nListenStream="+socket+"\nFileDescriptorName="+role+"\nService=daemon.service\n", 0o644)
	}
	unit = "[Unit]\nStartLimitIntervalSec=0\n" + unit + "FileDescriptorStoreMax=64\n" + strings.Join(lines, "\n") + "\n"
	d.machine.Install(os.Args[0], "/usr/bin/daemon")
	d.machine.WriteFile("/etc/systemd/system/daemon.service", unit, 0o644)
	d.machine.MustRun("systemctl", "daemon-reload")
	d.machine.MustRun("systemctl", "start", "daemon.service")
	t.Cleanup(func() {
		d.machine.MustRun("systemctl", append([]string{"stop"}, units...)...)
		if left := d.machine.Processes("daemon.service"); len(left) > 0 {
			t.Errorf("processes left: %+v", left)
		}
	})
	return d
}
