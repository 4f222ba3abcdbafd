package fdstore

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/notify"
)

// A stored is a file in the store of a manager.
type stored struct {
	name string
	fd   int
}

// A manager reads what a service says, as systemd does, and has a store with
// room for max files.
type manager struct {
	t        *testing.T
	notifier *notify.Notifier
	socket   *net.UnixConn
	max      int

	mu      sync.Mutex
	stored  []stored
	late    bool // what is refused stays open until closeRefused
	refused []int
}

func newManager(t *testing.T, max int) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("FDSTORE", "")
	notifier, err := notify.New()
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{t: t, notifier: notifier, socket: socket, max: max}
	over := make(chan struct{})
	go func() {
		defer close(over)
		m.run()
	}()
	t.Cleanup(func() {
		_ = notifier.Close()
		_ = socket.Close()
		<-over
		for _, f := range m.stored {
			_ = unix.Close(f.fd)
		}
	})
	return m
}

func (m *manager) run() {
	packet, oob := make([]byte, 64<<10), make([]byte, 4<<10)
	for {
		n, oobn, _, _, err := m.socket.ReadMsgUnix(packet, oob)
		if err != nil {
			return
		}
		var fds []int
		if messages, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil {
			for i := range messages {
				if some, err := unix.ParseUnixRights(&messages[i]); err == nil {
					fds = append(fds, some...)
				}
			}
		}
		m.read(strings.Split(string(packet[:n]), "\n"), fds)
	}
}

// read does what the lines say. It owns fds.
func (m *manager) read(lines []string, fds []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := "stored"
	for _, line := range lines {
		if s, ok := strings.CutPrefix(line, "FDNAME="); ok {
			name = s
		}
	}
	switch {
	case slices.Contains(lines, "FDSTOREREMOVE=1"):
		m.stored = slices.DeleteFunc(m.stored, func(f stored) bool {
			if f.name != name {
				return false
			}
			_ = unix.Close(f.fd)
			return true
		})
	case slices.Contains(lines, "FDSTORE=1") && len(m.stored)+len(fds) <= m.max:
		for _, fd := range fds {
			m.stored = append(m.stored, stored{name, fd})
		}
		return
	}
	if m.late && slices.Contains(lines, "FDSTORE=1") {
		m.refused = append(m.refused, fds...)
		return
	}
	fdutil.CloseAll(fds)
}

// refuseLate leaves open what is refused from now on.
func (m *manager) refuseLate() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.late = true
}

func (m *manager) closeRefused() {
	m.mu.Lock()
	defer m.mu.Unlock()
	fdutil.CloseAll(m.refused)
	m.refused = nil
}

func (m *manager) Tell(states ...notify.State) {
	if err := m.Notify(states...); err != nil {
		m.t.Error(err)
	}
}

func (m *manager) Notify(states ...notify.State) error { return m.notifier.Notify(states...) }

func (m *manager) Await() error {
	ctx, cancel := patience.Context(context.Background(), time.Minute)
	defer cancel()
	return m.notifier.Barrier(ctx)
}

// names returns what is stored, sorted.
func (m *manager) names() []string {
	m.t.Helper()
	if err := m.Await(); err != nil {
		m.t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	names := []string{}
	for _, f := range m.stored {
		names = append(names, f.name)
	}
	slices.Sort(names)
	return names
}

// give returns what is stored as the files of the next process: duplicates.
func (m *manager) give() Files {
	m.t.Helper()
	_ = m.names()
	m.mu.Lock()
	defer m.mu.Unlock()
	var files handed
	for _, f := range m.stored {
		dup, err := fdutil.DuplicateFrom(f.fd, 3)
		if err != nil {
			m.t.Fatal(err)
		}
		files = append(files, stored{f.name, dup})
	}
	m.t.Cleanup(func() {
		for _, f := range files {
			if f.fd >= 0 {
				_ = unix.Close(f.fd)
			}
		}
	})
	return files
}

// A handed is the files that a process was started with.
type handed []stored

func (h handed) Files() []activation.File {
	var files []activation.File
	for _, f := range h {
		files = append(files, activation.File{Name: f.name})
	}
	return files
}

func (h handed) Conns(name string) ([]net.Conn, error) {
	var conns []net.Conn
	for i, f := range h {
		if f.name != name {
			continue
		}
		h[i].fd = -1
		nc, err := connOf(f.fd)
		if err != nil {
			return nil, err
		}
		conns = append(conns, nc)
	}
	return conns, nil
}
