package handover

import (
	"errors"
	"io"
	"net"
	"os"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"golang.org/x/sys/unix"
)

func (c *Conn) readWhole(packet, oob []byte) (n, oobn, flags int, _ *net.UnixAddr, err error) {
	raw, err := c.unix.SyscallConn()
	if err != nil {
		return 0, 0, 0, nil, err
	}
	waitErr := raw.Read(func(fd uintptr) bool {
		n, oobn, flags, err = takeWhole(int(fd), packet, oob)
		return !errors.Is(err, unix.EAGAIN)
	})
	if waitErr != nil {
		return 0, 0, 0, nil, waitErr
	}
	return n, oobn, flags, nil, err
}

func (c *Conn) tryReadWhole(packet, oob []byte) (n, oobn, flags int, _ *net.UnixAddr, err error) {
	controlErr := c.Control(func(fd int) { n, oobn, flags, err = takeWhole(fd, packet, oob) })
	if controlErr != nil {
		return 0, 0, 0, nil, controlErr
	}
	return n, oobn, flags, nil, err
}

// takeWhole looks at the next packet, which duplicates its descriptors as if it
// were received, and takes it off the queue if all of them found room. Taking
// it asks for none of them again.
func takeWhole(fd int, packet, oob []byte) (n, oobn, flags int, err error) {
	n, oobn, flags, _, err = unix.Recvmsg(fd, packet, oob, unix.MSG_PEEK|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	switch {
	case err != nil:
		return 0, 0, 0, os.NewSyscallError("recvmsg", err)
	case n == 0:
		return 0, oobn, 0, io.EOF
	case truncated(flags):
		return n, oobn, flags, nil
	}
	var rest [1]byte
	if _, _, _, _, err = unix.Recvmsg(fd, rest[:], nil, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC); err != nil {
		descriptors, _ := parseRights(oob[:oobn])
		fdutil.CloseAll(descriptors)
		return 0, 0, 0, os.NewSyscallError("recvmsg", err)
	}
	return n, oobn, flags, nil
}
