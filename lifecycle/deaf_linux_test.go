package lifecycle_test

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestDeafManager has a service manager stop reading, with its queue full: a
// reload, a question for the status and a stop are served all the same, before
// the first message to it is given up.
func TestDeafManager(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l := &listening{t: t, path: path, messages: make(chan string, 5000)}
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("SYSTEMD_EXEC_PID", "1") // no successor is started beside this process
	t.Setenv("WATCHDOG_USEC", "")
	p := newPatient(t, lifecycle.Options{ReloadMode: lifecycle.NewProcess})
	p.run()
	hears := make(chan struct{})
	go func() {
		defer close(hears)
		for text, rights := make([]byte, 4096), make([]byte, 4096); ; {
			n, oobn, _, _, err := socket.ReadMsgUnix(text, rights)
			if err != nil {
				return
			}
			closeRights(rights[:oobn])
			if hasLine(string(text[:n]), "READY=1") {
				return
			}
		}
	}()
	<-hears
	fillQueue(t, path)

	if err := p.service.Reload(t.Context()); !errors.Is(err, lifecycle.ErrReload) {
		t.Errorf("the reload that is to be refused: %v", err)
	}
	p.awaitState(lifecycle.Ready)
	p.stop()
	<-p.service.Draining()
	if strings.Contains(p.log.String(), "cannot notify the service manager") {
		t.Error("a message was given up before all was served: the loop waited for it")
	}
	go l.read(socket)
	for _, line := range []string{"RELOADING=1", "READY=1", "STOPPING=1"} {
		l.await(line)
	}
	p.awaitEnd()
}

func closeRights(rights []byte) {
	messages, _ := unix.ParseSocketControlMessage(rights)
	for _, m := range messages { // those of a barrier
		fds, _ := unix.ParseUnixRights(&m)
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}
}

// fillQueue leaves no room in the queue of a socket that nobody reads.
func fillQueue(t *testing.T, path string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for err == nil {
		err = unix.Sendto(fd, []byte("X_FILLER=1"), 0, &unix.SockaddrUnix{Name: path})
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
}
