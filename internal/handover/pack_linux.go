package handover

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

func newMemfd(name string, pieces [][]byte) (int, error) {
	// Since Linux 6.3 a memfd should say that it is not to be executed, and
	// before, it could not.
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	}
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	at := int64(0)
	for _, p := range pieces {
		for len(p) > 0 {
			n, err := unix.Pwrite(fd, p, at)
			if err != nil {
				_ = unix.Close(fd)
				return -1, os.NewSyscallError("pwrite", err)
			}
			p, at = p[n:], at+int64(n)
		}
	}
	return fd, nil
}

func readMemfd(fd int, p []byte) error {
	at := int64(0)
	for len(p) > 0 {
		n, err := unix.Pread(fd, p, at)
		switch {
		case err != nil:
			return os.NewSyscallError("pread", err)
		case n == 0:
			return io.ErrUnexpectedEOF
		}
		p, at = p[n:], at+int64(n)
	}
	return nil
}
