package handover_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

// TestNoConnection makes connections, and handover sockets, of descriptors that
// are none. They are closed.
func TestNoConnection(t *testing.T) {
	for name, open := range map[string]func() (int, error){
		"a file": func() (int, error) {
			return unix.Open(filepath.Join(t.TempDir(), "f"), unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		},
		"a pipe": func() (int, error) {
			var p [2]int
			err := unix.Pipe2(p[:], unix.O_CLOEXEC)
			return p[0], errors.Join(err, unix.Close(p[1]))
		},
		"/dev/null":               func() (int, error) { return unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0) },
		"a UDP socket":            func() (int, error) { return socketOf(unix.AF_INET, unix.SOCK_DGRAM) },
		"a Unix datagram socket":  func() (int, error) { return socketOf(unix.AF_UNIX, unix.SOCK_DGRAM) },
		"a netlink socket":        func() (int, error) { return socketOf(unix.AF_NETLINK, unix.SOCK_RAW) },
		"a TCP listener":          func() (int, error) { return listenerOf("tcp", "127.0.0.1:0") },
		"a Unix listener":         func() (int, error) { return listenerOf("unix", fmt.Sprintf("@hostile-%d", os.Getpid())) },
		"a Unix packet listener":  func() (int, error) { return listenerOf("unixpacket", fmt.Sprintf("@hostile-p-%d", os.Getpid())) },
		"an epoll":                func() (int, error) { return unix.EpollCreate1(unix.EPOLL_CLOEXEC) },
		"an O_PATH":               func() (int, error) { return unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0) },
		"a pidfd":                 func() (int, error) { return unix.PidfdOpen(os.Getpid(), 0) },
		"one that is closed, 999": func() (int, error) { return 999, nil },
	} {
		t.Run(name, func(t *testing.T) {
			leakcheck.Check(t)
			for range 2 {
				for what, take := range map[string]func(int) error{
					"NetConn": func(fd int) error { _, err := handover.NetConn(fd); return err },
					"Mould.NetConn": func(fd int) error {
						m := handover.NewMould()
						defer m.Close()
						_, err := m.NetConn(fd)
						return err
					},
					"FromDescriptor": func(fd int) error { _, err := handover.FromDescriptor(fd); return err },
				} {
					fd, err := open()
					if err != nil {
						t.Fatal(err)
					}
					if err := take(fd); !errors.Is(err, handover.ErrMalformed) {
						t.Errorf("%s: %v, want ErrMalformed", what, err)
					}
				}
			}
		})
	}
}

// TestNoHandoverSocket offers connections of other kinds as handover sockets.
func TestNoHandoverSocket(t *testing.T) {
	leakcheck.Check(t)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := socketOf(unix.AF_INET, unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range append(fds[:], tcp) {
		if _, err := handover.FromDescriptor(fd); !errors.Is(err, handover.ErrMalformed) {
			t.Errorf("%v, want ErrMalformed", err)
		}
	}
}

// TestReset makes a connection of one that its client has reset: it is one, and
// to read from it tells.
func TestReset(t *testing.T) {
	leakcheck.Check(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	file, err := accepted.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	fd := dup(t, file)
	_, _ = file.Close(), accepted.Close()
	_ = client.(*net.TCPConn).SetLinger(0)
	_ = client.Close()
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for poll[0].Revents&unix.POLLHUP == 0 {
		_, _ = unix.Poll(poll, -1)
	}
	nc, err := handover.NetConn(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if nc.RemoteAddr() != nil {
		t.Errorf("RemoteAddr is %v: its doc comment is not true any more", nc.RemoteAddr())
	}
}

// TestCountsThatLie receives numbers that cannot be.
func TestCountsThatLie(t *testing.T) {
	for _, packet := range []string{
		`{"type":"accepted","count":-1}`,
		`{"type":"accepted","count":9223372036854775807}`,
		`{"type":"hello","protocol":2,"count":-9223372036854775808}`,
		`{"type":"connections","states":["AA==","AA==","AA=="]}`,
		`{"type":"stop","left":-9223372036854775808}`,
	} {
		conn, fd := rawPair(t)
		sendRaw(t, fd, packet)
		if _, fds, err := conn.Receive(); err != nil || len(fds) != 0 {
			t.Errorf("%s: %v, %v", packet, fds, err)
		}
	}
	for _, packet := range []string{
		`{"type":"accepted","count":9223372036854775808}`,
		`{"type":"accepted","count":1.5}`,
		`{"type":"stop","left":1e400}`,
		`{"type":"connections","sizes":[1]}`,
		`{"type":"connections","sizes":[9223372036854775807,9223372036854775807]}`,
	} {
		conn, fd := rawPair(t)
		sendRaw(t, fd, packet, 0)
		if m, fds, err := conn.Receive(); !errors.Is(err, handover.ErrMalformed) || len(fds) != 0 {
			t.Errorf("%s: %+v, %v, %v, want ErrMalformed", packet, m, fds, err)
		}
	}
}

func socketOf(domain, kind int) (int, error) {
	return unix.Socket(domain, kind|unix.SOCK_CLOEXEC, 0)
}

func listenerOf(network, address string) (int, error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return -1, err
	}
	defer l.Close()
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return -1, err
	}
	defer file.Close()
	return unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
}
