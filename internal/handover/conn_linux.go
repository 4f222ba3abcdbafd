package handover

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"golang.org/x/sys/unix"
)

var rightsSpace = unix.CmsgSpace(4 * (MaxDescriptors + 1))

// Pair makes a handover socket: our end, and the raw descriptor of the other
// end, close-on-exec, which the caller owns.
func Pair() (ours *Conn, theirs int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, -1, os.NewSyscallError("socketpair", err)
	}
	ours, err = FromDescriptor(pair[0])
	if err != nil {
		_ = unix.Close(pair[1])
		return nil, -1, err
	}
	return ours, pair[1], nil
}

// FromDescriptor makes a Conn of an end that arrived in a message. It owns fd,
// also when it fails. The error matches ErrMalformed if fd is no end of a
// handover socket.
func FromDescriptor(fd int) (*Conn, error) {
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_SEQPACKET {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("%w: descriptor %d is no handover socket", ErrMalformed, fd)
	}
	conn, err := NetConn(fd)
	if err != nil {
		return nil, err
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: descriptor %d is a %s socket", ErrMalformed, fd, conn.LocalAddr().Network())
	}
	return NewConn(unixConn), nil
}

// NetConn makes a net.Conn of a connection that arrived in a message. It owns
// fd, also when it fails.
//
// The descriptor must be non-blocking before os.NewFile sees it: else FileConn,
// by way of File.Fd, would for a moment make the open file description
// blocking, which the sender still shares.
//
// The error matches ErrMalformed if fd is no connection: what is read as one
// must not be another kind of file or socket, of which net makes a net.Conn
// too.
//
// A connection that its other end has reset has no RemoteAddr.
func NetConn(fd int) (net.Conn, error) {
	if err := checkConnection(fd); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("%w: descriptor %d: %w", ErrMalformed, fd, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(fd), "handover")
	defer file.Close() // FileConn has duplicated it
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("handed over descriptor: %w", err)
	}
	return conn, nil
}

// checkConnection returns an error if fd is no socket of a connection.
func checkConnection(fd int) error {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	switch {
	case err != nil:
		return os.NewSyscallError("getsockopt", err)
	case listens != 0:
		return errors.New("a socket that listens")
	case kind != unix.SOCK_STREAM && kind != unix.SOCK_SEQPACKET:
		return fmt.Errorf("a socket of type %d, which has no connections", kind)
	}
	return nil
}

// Peek calls visit with each message that waits, and leaves them all where they
// are. A State comes with duplicates of its descriptors, which are visit's;
// other messages come without theirs. No other goroutine may receive meanwhile.
// States that are secret are cleared when visit returns: see [Message.Forget].
//
// SO_PEEK_OFF (socket(7)) says from which byte of the queue on to look, and
// skips whole packets.
func (c *Conn) Peek(visit func(Message, []int)) error {
	buffer := make([]byte, maxPacket)
	defer clear(buffer)
	for at := 0; ; {
		n, _, _, err := c.peek(at, buffer, nil)
		if wasReset(err) {
			n, _, _, err = c.peek(at, buffer, nil)
		}
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		var fds []int
		m, err := decode(buffer[:min(n, len(buffer))])
		if err == nil && m.Type == State {
			m, fds, err = c.peekState(at, buffer)
		}
		if err != nil {
			fdutil.CloseAll(fds) // there are some if it is ErrTruncated
			return err
		}
		visit(m, fds)
		m.Forget()
		at += n
	}
}

func (c *Conn) peekState(at int, buffer []byte) (Message, []int, error) {
	oob := make([]byte, rightsSpace)
	n, oobn, flags, err := c.peek(at, buffer, oob)
	if err != nil {
		return Message{}, nil, err
	}
	return parse(buffer[:min(n, len(buffer))], oob[:oobn], flags)
}

// peek returns in n how long the packet is, even if buffer holds only a part.
func (c *Conn) peek(at int, buffer, oob []byte) (n, oobn, flags int, err error) {
	raw, err := c.unix.SyscallConn()
	if err != nil {
		return 0, 0, 0, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEEK_OFF, at); err != nil {
			return
		}
		n, oobn, flags, _, err = unix.Recvmsg(int(fd), buffer, oob, unix.MSG_PEEK|unix.MSG_TRUNC|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEEK_OFF, -1)
	})
	switch {
	case controlErr != nil:
		return 0, 0, 0, controlErr
	case err != nil:
		return 0, 0, 0, os.NewSyscallError("recvmsg", err)
	case n == 0:
		return 0, 0, 0, io.EOF
	}
	return n, oobn, flags, nil
}

func (c *Conn) tryRead(packet, oob []byte) (n, oobn, flags int, _ *net.UnixAddr, err error) {
	raw, err := c.unix.SyscallConn()
	if err != nil {
		return 0, 0, 0, nil, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		n, oobn, flags, _, err = unix.Recvmsg(int(fd), packet, oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	})
	switch {
	case controlErr != nil:
		return 0, 0, 0, nil, controlErr
	case err != nil:
		return 0, 0, 0, nil, os.NewSyscallError("recvmsg", err)
	case n == 0:
		return 0, oobn, 0, nil, io.EOF
	}
	return n, oobn, flags, nil, nil
}

func (c *Conn) tryWrite(packet, oob []byte, _ *net.UnixAddr) (n, oobn int, err error) {
	raw, err := c.unix.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		n, err = unix.SendmsgN(int(fd), packet, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	})
	if controlErr != nil {
		return 0, 0, controlErr
	}
	return n, len(oob), os.NewSyscallError("sendmsg", err)
}

// HasReader reports whether anybody holds the other end, having waited up to
// patience for the last one to let go of it.
func (c *Conn) HasReader(patience time.Duration) bool {
	hungUp := true
	err := c.Control(func(fd int) {
		ends := time.Now().Add(patience)
		poll := []unix.PollFd{{Fd: int32(fd)}}
		_, err := unix.Poll(poll, int(patience.Milliseconds()))
		for err == unix.EINTR { // also without a wait, if a signal is pending (do_poll in the kernel's fs/select.c)
			_, err = unix.Poll(poll, int(max(0, time.Until(ends).Milliseconds())))
		}
		hungUp = err != nil || poll[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
	})
	return err == nil && !hungUp
}

func rights(descriptors []int) []byte {
	if len(descriptors) == 0 {
		return nil
	}
	return unix.UnixRights(descriptors...)
}

func parseRights(oob []byte) (descriptors []int, err error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // SCM_CREDENTIALS and the like are nothing to own
		}
		descriptors = append(descriptors, fds...)
	}
	return descriptors, nil
}

func truncated(flags int) bool {
	return flags&unix.MSG_CTRUNC != 0
}

// A peer that dies with unread messages in its queue leaves ECONNRESET on our
// end (unix_release_sock in the kernel's net/unix/af_unix.c), which recvmsg or
// sendmsg reports once, ahead of what the peer had said before it died. Reading
// again gets that, then end-of-file; writing again gets EPIPE.
func wasReset(err error) bool {
	return errors.Is(err, unix.ECONNRESET)
}

func exceedsSocket(err error) bool {
	return errors.Is(err, unix.EMSGSIZE)
}

// AwaitRoom waits until there is room for a message in the queue of the other
// side, or there is no other side. It fails after Close and SetWriteDeadline.
func (c *Conn) AwaitRoom() error {
	raw, err := c.unix.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Write(isWritable)
}

// HasRoom reports whether there is room for more than a few messages, or no
// other side. A socket is writable to poll(2) while at most a quarter of its
// buffer is taken (unix_writable in the kernel's net/unix/af_unix.c).
func (c *Conn) HasRoom() bool {
	room := false
	err := c.Control(func(fd int) { room = isWritable(uintptr(fd)) })
	return err == nil && room
}

// isWritable reports true for an error as well.
func isWritable(fd uintptr) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	_, err := unix.Poll(poll, 0)
	for err == unix.EINTR { // also without a wait, if a signal is pending
		_, err = unix.Poll(poll, 0)
	}
	return err != nil || poll[0].Revents != 0
}
