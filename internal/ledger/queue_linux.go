package ledger

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// sendBuffer is asked for where net.core.wmem_max allows it: with room for
// thousands of messages. The usual limit of 212,992 bytes is enough for some
// forty thousand connections.
const sendBuffer = 8 << 20

// A queue is a pair of Unix sockets, of which this process has both ends.
type queue struct{ read, write int }

func newQueue() (queue, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return queue{}, os.NewSyscallError("socketpair", err)
	}
	_ = unix.SetsockoptInt(pair[1], unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	return queue{pair[0], pair[1]}, nil
}

// check returns an error that matches ErrMalformed if q is not a queue. It puts
// the ends in order: what is queued waits at the one to read from.
func (q *queue) check() error {
	for _, fd := range []int{q.read, q.write} {
		domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, os.NewSyscallError("getsockopt", err))
		}
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		if err != nil || domain != unix.AF_UNIX || kind != unix.SOCK_SEQPACKET {
			return fmt.Errorf("%w: descriptor %d is not a queue", ErrMalformed, fd)
		}
		if err := unix.SetNonblock(fd, true); err != nil {
			return os.NewSyscallError("fcntl", err)
		}
	}
	if waits(q.write) {
		q.read, q.write = q.write, q.read
	}
	if waits(q.write) {
		return fmt.Errorf("%w: a queue in both directions", ErrMalformed)
	}
	return nil
}

// waits reports whether there is anything to read.
func waits(fd int) bool {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, -1)
	_, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil
}

func (q queue) send(payload []byte, fds []int) error {
	for {
		err := unix.Sendmsg(q.write, payload, unix.UnixRights(fds...), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return os.NewSyscallError("sendmsg", err)
		}
	}
}

// drop removes the first message. The kernel closes its descriptors, as there
// is no buffer for them.
func (q queue) drop() error {
	for {
		_, _, _, _, err := unix.Recvmsg(q.read, make([]byte, 1), nil, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR {
			return os.NewSyscallError("recvmsg", err)
		}
	}
}

// look calls visit with each message, and duplicates of its descriptors, which
// are visit's. There may be room for some of them only. The messages stay.
//
// SO_PEEK_OFF (socket(7)) says from which byte of the queue on to look, and
// moves on by itself. A process that died in here has left it where it was.
func (q queue) look(visit func(payload []byte, fds []int)) error {
	if err := unix.SetsockoptInt(q.read, unix.SOL_SOCKET, unix.SO_PEEK_OFF, 0); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	defer func() { _ = unix.SetsockoptInt(q.read, unix.SOL_SOCKET, unix.SO_PEEK_OFF, -1) }()
	payload := make([]byte, maxMessage)
	oob := make([]byte, unix.CmsgSpace(4*(maxBatch+3)))
	for {
		n, oobn, _, _, err := unix.Recvmsg(q.read, payload, oob, unix.MSG_PEEK|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN, err == nil && n == 0:
			return nil
		case err != nil:
			return os.NewSyscallError("recvmsg", err)
		}
		visit(payload[:n], rights(oob[:oobn]))
	}
}

// rights returns the descriptors in control messages.
func rights(oob []byte) (fds []int) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range messages {
		more, err := unix.ParseUnixRights(&messages[i])
		if err == nil {
			fds = append(fds, more...)
		}
	}
	return fds
}

func (q queue) close() { fdutil.CloseAll([]int{q.read, q.write}) }

// newPage makes a page of so many slots. It grows in memory as it is used, and
// nobody can change its size: a page that shrinks would kill who reads from it.
func newPage(slots int) (page, int, error) {
	fd, err := unix.MemfdCreate("heirloom-ledger", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("heirloom-ledger", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, -1, os.NewSyscallError("memfd_create", err)
	}
	if err = unix.Ftruncate(fd, int64(slots)*slotSize); err != nil {
		err = os.NewSyscallError("ftruncate", err)
	} else if _, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, fixedSize); err != nil {
		err = os.NewSyscallError("fcntl", err)
	}
	var p page
	if err == nil {
		p, err = openPage(fd)
	}
	if err != nil {
		fdutil.CloseAll([]int{fd})
		return nil, -1, err
	}
	return p, fd, nil
}

const fixedSize = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW

// openPage maps a page. The error matches ErrMalformed if it may change its
// size, or cannot be mapped.
func openPage(fd int) (page, error) {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals&fixedSize != fixedSize {
		return nil, fmt.Errorf("%w: descriptor %d is not a memfd of a fixed size", ErrMalformed, fd)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	if stat.Size <= 0 || stat.Size > maxSlots*slotSize {
		return nil, fmt.Errorf("%w: a page of %d bytes", ErrMalformed, stat.Size)
	}
	p, err := unix.Mmap(fd, 0, int(stat.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, os.NewSyscallError("mmap", err))
	}
	return p, nil
}
