package lint_test

import (
	"context"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// crowd has n clients come, and stay.
func crowd(n int) func(*scene) string {
	return func(s *scene) string {
		s.start()
		s.within(300 * time.Millisecond)
		for range n {
			if s.ask() != "1" {
				return "not all are answered"
			}
		}
		return "all are answered"
	}
}

// queue has n clients come while the main process does nothing.
func queue(n int) func(*scene) string {
	return func(s *scene) string {
		s.start()
		s.halt(s.main())
		defer s.signal(syscall.SIGCONT)
		s.within(200 * time.Millisecond)
		for range n {
			ctx, cancel := context.WithTimeout(context.Background(), s.patience())
			_, err := s.dial(ctx)
			cancel()
			if err != nil {
				return "not all are connected"
			}
		}
		return "all are connected"
	}
}

// activate starts the service n times by a client.
func activate(n int) func(*scene) string {
	return func(s *scene) string {
		s.run("start", s.name+".socket")
		for range n - 1 {
			s.ask()
			s.do("stop")
		}
		return seen(s.ask(), s.m.Property(s.name+".socket", "ActiveState"))
	}
}

// bindAgain binds the address of the socket once more.
func bindAgain(s *scene) string {
	s.start()
	listen := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	err := s.m.Inside(func() error {
		l, err := listen.Listen(context.Background(), "tcp", s.address)
		if err == nil {
			err = l.Close()
		}
		return err
	})
	if err == nil {
		return "bound"
	}
	return "in use"
}

// path has clients connect to the path of the socket unit.
func (s *scene) path() {
	listen := strings.Fields(s.m.Property(s.name+".socket", "Listen"))
	s.network, s.address = "unix", listen[0]
}
