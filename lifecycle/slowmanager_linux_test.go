package lifecycle_test

import (
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestSlowManagerAtStart has a service manager that is busy for longer than the
// service waits for it: it has refused nothing, and is relied on later.
func TestSlowManagerAtStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"NOTIFY_SOCKET": path, "SYSTEMD_EXEC_PID": "1", "FDSTORE": "16", "WATCHDOG_USEC": ""} {
		t.Setenv(name, value)
	}
	p := newPatient(t, lifecycle.Options{})
	listener, err := p.service.Listen("http", "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.service.HTTP(listener, &http.Server{Handler: http.NotFoundHandler()}); err != nil {
		t.Fatal(err)
	}
	p.run()
	p.awaitState(lifecycle.Ready) // it has not waited for longer
	stored := make(chan []int)
	go func() { stored <- keepStored(socket) }()
	p.awaitLedger()
	p.stop()
	p.awaitEnd()
	_ = socket.Close()
	fdutil.CloseAll(<-stored)
}

// awaitLedger waits until the service keeps connections.
func (p *patient) awaitLedger() {
	p.t.Helper()
	var s lifecycle.Status
	if err := eventually(func() bool {
		s, _ = p.service.Status(p.t.Context())
		return s.Ledger != nil && s.Ledger.Off == ""
	}); err != nil {
		p.t.Fatalf("the ledger is %+v", s.Ledger)
	}
}

// keepStored reads what a service manager is told, until socket is closed, and
// returns the descriptors that it is to store.
func keepStored(socket *net.UnixConn) (stored []int) {
	for text, oob := make([]byte, 4096), make([]byte, 4096); ; {
		n, oobn, _, _, err := socket.ReadMsgUnix(text, oob)
		if err != nil {
			return stored
		}
		messages, _ := unix.ParseSocketControlMessage(oob[:oobn])
		for _, m := range messages {
			fds, err := unix.ParseUnixRights(&m)
			if err == nil && strings.Contains(string(text[:n]), "FDSTORE=1") {
				stored = append(stored, fds...)
			} else {
				fdutil.CloseAll(fds)
			}
		}
	}
}
