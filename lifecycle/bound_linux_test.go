package lifecycle_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/freeport"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestBoundFile is the predecessor of a daemon, and hands over a listener with
// a client in its backlog. The daemon answers that client if it has taken the
// listener, which it has not where its Unix path is gone.
func TestBoundFile(t *testing.T) {
	tests := map[string]struct {
		network, address string // of the listener; in a folder of its own if it begins with /
		file             string // as the message has it, "%s" being the right one
		change           func(path string) error
		taken            bool
	}{
		"a path":                    {network: "unix", address: "/s", file: `,"file":%s`, taken: true},
		"a path that is gone":       {network: "unix", address: "/s", file: `,"file":%s`, change: os.Remove},
		"a path without its file":   {network: "unix", address: "/s", change: os.Remove},
		"another file than it says": {network: "unix", address: "/s", file: `,"file":{"device":1,"inode":1}`, change: os.Remove},
		"an abstract address":       {network: "unix", address: fmt.Sprintf("@heirloom-test-%d", os.Getpid()), taken: true},
		"TCP":                       {network: "tcp", address: freeport.Address(t, "tcp"), taken: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if test.address[0] == '/' {
				test.address = filepath.Join(dir, test.address)
			}
			l, err := net.Listen(test.network, test.address)
			if err != nil {
				t.Fatal(err)
			}
			if u, ok := l.(*net.UnixListener); ok {
				u.SetUnlinkOnClose(false)
			}
			defer l.Close()
			waiting := dialKept(t, test.network, test.address)
			if strings.Contains(test.file, "%s") {
				var stat unix.Stat_t
				if err := unix.Stat(test.address, &stat); err != nil {
					t.Fatal(err)
				}
				test.file = fmt.Sprintf(test.file, fmt.Sprintf(`{"device":%d,"inode":%d}`, stat.Dev, stat.Ino))
			}
			if test.change != nil {
				if err := test.change(test.address); err != nil {
					t.Fatal(err)
				}
			}
			bound := fmt.Sprintf(`{"name":"http","network":%q,"address":%q%s}`, test.network, test.address, test.file)
			p := startPredecessor(t, dir, test.network+"!"+test.address, bound, l)
			p.await(handover.Ready)
			p.send(`{"type":"go"}`)
			p.await(handover.Serving)
			_ = l.Close()
			p.send(`{"type":"main"}`)
			if _, err := dialKept(t, test.network, test.address).exchange(); err != nil {
				t.Errorf("a new client: %v", err)
			}
			if _, err := waiting.exchange(); (err == nil) != test.taken {
				t.Errorf("the client in the backlog: %v, want it answered: %t", err, test.taken)
			}
		})
	}
}

func dialKept(t *testing.T, network, address string) *kept {
	t.Helper()
	nc, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return newKept(nc)
}

// A predecessor is the test itself, which has started a daemon as its
// successor.
type predecessor struct {
	t    *testing.T
	conn *handover.Conn
}

// startPredecessor starts a daemon, with a listener named http, as generation
// 2. It is told what was bound by the JSON object bound, and that the counter
// is 41.
func startPredecessor(t *testing.T, dir, listen, bound string, l net.Listener, env ...string) *predecessor {
	t.Helper()
	conn, theirs, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	p := &predecessor{t, conn}
	socket := os.NewFile(uintptr(theirs), "handover")
	defer socket.Close()
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	env = append(append(env, os.Environ()...), "HEIRLOOM_TEST_ROLE=daemon", "RUNTIME_DIRECTORY="+dir, // the first of a name counts
		"HEIRLOOM_TEST_LISTEN="+listen, "GORACE=atexit_sleep_ms=0")
	env, err = activation.Environ(env, os.Getpid(), []string{activation.HandoverName, "http"})
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = env, []*os.File{socket, file}, log, log
	p.send(fmt.Sprintf(`{"type":"hello","protocol":2,"min_reader":2,"pid":%d,"generation":1,"bound":[%s],"count":1}`, os.Getpid(), bound))
	p.send(`{"type":"news","name":"of a later version"}`, theirs)
	p.send(`{"type":"state","name":"counter","version":1,"states":["NDE="],"later":{}}`)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		leakcheck.Kill("RUNTIME_DIRECTORY=" + dir) // with its successors
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%s%v", text, err)
		}
	})
	return p
}

// send sends a packet as it is.
func (p *predecessor) send(packet string, fds ...int) {
	p.t.Helper()
	err := error(unix.EAGAIN)
	var controlErr error
	for err == unix.EAGAIN && controlErr == nil { // the queue is full
		controlErr = p.conn.Control(func(fd int) {
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
			err = unix.Sendmsg(fd, []byte(packet), unix.UnixRights(fds...), nil, 0)
		})
	}
	if err != nil || controlErr != nil {
		p.t.Fatalf("send %.100s: %v, %v", packet, err, controlErr)
	}
}

// await receives a message of that type.
func (p *predecessor) await(want handover.Type) handover.Message {
	p.t.Helper()
	_ = p.conn.SetReadDeadline(patience.Deadline(time.Minute))
	for {
		m, fds, err := p.conn.Receive()
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
		switch {
		case err != nil:
			p.t.Fatalf("await %s: %v", want, err)
		case m.Type == want:
			return m
		}
	}
}
