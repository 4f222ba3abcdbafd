package activation

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// vsockAny is VMADDR_CID_ANY and VMADDR_PORT_ANY of vsock(7).
const vsockAny = 1<<32 - 1

// VsockAddr is the address of a virtual machine socket, vsock(7). As text it is
// "CID:PORT", in decimal; ":PORT" means any CID (VMADDR_CID_ANY), and when
// binding, port 0 means one that the kernel chooses.
type VsockAddr struct {
	CID  uint32
	Port uint32
}

// Network returns "vsock".
func (a VsockAddr) Network() string { return "vsock" }

// String returns "CID:PORT", and ":PORT" for any CID.
func (a VsockAddr) String() string {
	port := ":" + strconv.FormatUint(uint64(a.Port), 10)
	if a.CID == vsockAny {
		return port
	}
	return strconv.FormatUint(uint64(a.CID), 10) + port
}

func parseVsockAddr(address string) (VsockAddr, error) {
	cid, port, found := strings.Cut(address, ":")
	if !found {
		return VsockAddr{}, malformed("vsock address", address, "must be CID:PORT or :PORT")
	}
	a := VsockAddr{CID: vsockAny}
	if cid != "" {
		n, err := decimal("vsock address", cid, vsockAny)
		if err != nil {
			return VsockAddr{}, err
		}
		a.CID = uint32(n)
	}
	n, err := decimal("vsock address", port, vsockAny)
	a.Port = uint32(n)
	return a, err
}

// VsockListener is a listening AF_VSOCK stream socket, which package net does
// not know. It behaves like a net.TCPListener: several goroutines may use it at
// once, Close wakes Accept, and errors are of type *net.OpError and match
// net.ErrClosed and os.ErrDeadlineExceeded.
type VsockListener struct {
	file   *os.File
	addr   VsockAddr
	closed atomic.Bool
}

// VsockConn is a connected AF_VSOCK stream socket. It behaves like a
// net.TCPConn, as [VsockListener] does like a net.TCPListener.
type VsockConn struct {
	file          *os.File
	local, remote net.Addr
	closed        atomic.Bool
}

var (
	_ net.Addr     = VsockAddr{}
	_ net.Listener = (*VsockListener)(nil)
	_ net.Conn     = (*VsockConn)(nil)
	_ syscall.Conn = (*VsockListener)(nil)
	_ syscall.Conn = (*VsockConn)(nil)
)

// Accept waits for the next connection, a *VsockConn that the caller owns.
func (l *VsockListener) Accept() (net.Conn, error) {
	conn, err := l.accept()
	if err != nil {
		return nil, l.failed("accept", err)
	}
	return conn, nil
}

// Addr returns the VsockAddr it is bound to.
func (l *VsockListener) Addr() net.Addr { return l.addr }

// Close closes the socket; connections that were accepted are not affected.
func (l *VsockListener) Close() error {
	l.closed.Store(true)
	return l.failed("close", l.file.Close())
}

// SetDeadline sets the time at which Accept gives up; the zero time means
// never.
func (l *VsockListener) SetDeadline(t time.Time) error { return l.failed("set", l.file.SetDeadline(t)) }

// SyscallConn gives access to the descriptor, which stays the listener's.
func (l *VsockListener) SyscallConn() (syscall.RawConn, error) { return l.file.SyscallConn() }

func (l *VsockListener) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: "vsock", Addr: l.addr, Err: netError(op, err, l.closed.Load())}
}

// Read is that of io.Reader, and returns io.EOF once the other end has closed
// or shut down its side.
func (c *VsockConn) Read(b []byte) (int, error) {
	n, err := c.file.Read(b)
	if errors.Is(err, io.EOF) {
		return n, io.EOF
	}
	return n, c.failed("read", err)
}

// Write is that of io.Writer.
func (c *VsockConn) Write(b []byte) (int, error) {
	n, err := c.file.Write(b)
	return n, c.failed("write", err)
}

// Close closes the connection and wakes goroutines that wait in Read or Write.
func (c *VsockConn) Close() error {
	c.closed.Store(true)
	return c.failed("close", c.file.Close())
}

// CloseRead shuts down the reading side.
func (c *VsockConn) CloseRead() error { return c.failed("close", c.shutdown(syscall.SHUT_RD)) }

// CloseWrite shuts down the writing side: the other end reads io.EOF and can
// still write.
func (c *VsockConn) CloseWrite() error { return c.failed("close", c.shutdown(syscall.SHUT_WR)) }

// LocalAddr returns this end's VsockAddr.
func (c *VsockConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the other end's VsockAddr, nil if it had gone before this
// process was given the socket.
func (c *VsockConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline is that of net.Conn.
func (c *VsockConn) SetDeadline(t time.Time) error { return c.failed("set", c.file.SetDeadline(t)) }

// SetReadDeadline is that of net.Conn.
func (c *VsockConn) SetReadDeadline(t time.Time) error {
	return c.failed("set", c.file.SetReadDeadline(t))
}

// SetWriteDeadline is that of net.Conn.
func (c *VsockConn) SetWriteDeadline(t time.Time) error {
	return c.failed("set", c.file.SetWriteDeadline(t))
}

// SyscallConn gives access to the descriptor, which stays the connection's.
func (c *VsockConn) SyscallConn() (syscall.RawConn, error) { return c.file.SyscallConn() }

func (c *VsockConn) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: "vsock", Source: c.local, Addr: c.remote, Err: netError(op, err, c.closed.Load())}
}

// netError takes the error of an os.File out of its *fs.PathError, so that
// net.OpError finds its Timeout and Temporary, and says net.ErrClosed where
// callers of package net expect it. It must be told: the error that SyscallConn
// and deadlines of a closed os.File answer is internal/poll.ErrFileClosing,
// which matches no exported one.
func netError(op string, err error, closed bool) error {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	var errno syscall.Errno
	switch {
	case closed:
		return net.ErrClosed
	case errors.As(err, &errno) && error(errno) == err:
		return os.NewSyscallError(op, errno)
	}
	return err
}

func noVsock(why error) error {
	return fmt.Errorf("activation: vsock: %w", why)
}
