package servicemanager_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/servicemanager"
	"github.com/heirloom-go/heirloom/notify"
)

// A listener is a service manager that reads when the test says so.
type listener struct {
	t      *testing.T
	path   string
	socket *net.UnixConn
}

func listen(t *testing.T) *listener {
	t.Helper()
	l := &listener{t: t, path: filepath.Join(t.TempDir(), "notify")}
	var err error
	if l.socket, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: l.path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.socket.Close() })
	t.Setenv("NOTIFY_SOCKET", l.path)
	t.Setenv("SYSTEMD_EXEC_PID", fmt.Sprint(os.Getpid()))
	t.Setenv("WATCHDOG_USEC", "")
	return l
}

const filler = "X_FILLER=1"

// fill leaves no room in the queue.
func (l *listener) fill() {
	l.t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	defer unix.Close(fd)
	for err == nil {
		err = unix.Sendto(fd, []byte(filler), 0, &unix.SockaddrUnix{Name: l.path})
	}
	if err != unix.EAGAIN {
		l.t.Fatal(err)
	}
}

// next returns what was said, without what filled the queue.
func (l *listener) next() string {
	l.t.Helper()
	_ = l.socket.SetReadDeadline(time.Now().Add(patience.Of(30 * time.Second)))
	for text := make([]byte, 4096); ; {
		n, err := l.socket.Read(text)
		if err != nil {
			l.t.Fatal(err)
		}
		if said := strings.TrimSpace(string(text[:n])); said != filler {
			return said
		}
	}
}

// TestPostDoesNotWait posts to a service manager that does not read: what was
// posted comes in order once it does, and of each subject only what was said
// last.
func TestPostDoesNotWait(t *testing.T) {
	leakcheck.Check(t)
	l := listen(t)
	m, err := servicemanager.Meet(servicemanager.Config{Log: hclog.NewNullLogger()})
	if err != nil {
		t.Fatal(err)
	}
	l.fill()
	m.Post(notify.Stopping()) // is being sent, or waits
	for i := range 100 {
		m.Say(servicemanager.Status, notify.Status(fmt.Sprint("old ", i)))
		m.Say(servicemanager.SignOfLife, notify.Watchdog())
	}
	m.Post(notify.Ready())
	m.Say(servicemanager.Status, notify.Status("new"))
	for i, want := range []string{"STOPPING=1", "WATCHDOG=1", "READY=1", "STATUS=new"} {
		if got := l.next(); got != want {
			t.Errorf("message %d is %q, want %q", i, got, want)
		}
	}
	m.Close(patience.Of(30 * time.Second))
}

// TestCloseSendsWhatWaits closes right after a message was posted.
func TestCloseSendsWhatWaits(t *testing.T) {
	leakcheck.Check(t)
	l := listen(t)
	m, err := servicemanager.Meet(servicemanager.Config{Log: hclog.NewNullLogger()})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		m.Post(notify.Ready())
	}
	m.Close(patience.Of(30 * time.Second))
	for range 5 {
		if got := l.next(); got != "READY=1" {
			t.Errorf("got %q", got)
		}
	}
}

// TestFollows has each of those who may listen.
func TestFollows(t *testing.T) {
	path := listen(t).path
	self := fmt.Sprint(os.Getpid())
	for _, test := range []struct {
		name, socket, pid       string
		predecessor             bool
		exists, follows, refuse bool
	}{
		{name: "nobody"},
		{name: "systemd", socket: path, pid: self, exists: true, follows: true},
		{name: "a supervisor", socket: path, pid: "1", exists: true, refuse: true},
		{name: "a supervisor's service beside its predecessor", socket: path, predecessor: true, exists: true, follows: true},
		{name: "no socket", socket: "/dev/null", pid: self, refuse: true},
		{name: "another machine", socket: "vsock:2:1", pid: self, exists: true, refuse: true},
	} {
		t.Setenv("NOTIFY_SOCKET", test.socket)
		t.Setenv("SYSTEMD_EXEC_PID", test.pid)
		m, err := servicemanager.Meet(servicemanager.Config{NewProcess: true, HasPredecessor: test.predecessor, Log: hclog.NewNullLogger()})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if m.Exists() != test.exists || m.Follows() != test.follows || (m.RefuseNewProcess() != nil) != test.refuse {
			t.Errorf("%s: exists %v, follows %v, refuses %v", test.name, m.Exists(), m.Follows(), m.RefuseNewProcess())
		}
		m.Close(time.Second)
	}
}
