//go:build !linux

package handover

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"
)

const rightsSpace = 0

// Pair returns an error matching errors.ErrUnsupported: processes are replaced
// on Linux only.
func Pair() (ours *Conn, theirs int, err error) {
	return nil, -1, unsupported()
}

// FromDescriptor returns an error matching errors.ErrUnsupported.
func FromDescriptor(int) (*Conn, error) {
	return nil, unsupported()
}

// NetConn returns an error matching errors.ErrUnsupported.
func NetConn(int) (net.Conn, error) {
	return nil, unsupported()
}

// Peek returns an error matching errors.ErrUnsupported.
func (c *Conn) Peek(func(Message, []int)) error { return unsupported() }

// HasReader reports false.
func (c *Conn) HasReader(time.Duration) bool { return false }

// AwaitRoom returns an error matching errors.ErrUnsupported.
func (c *Conn) AwaitRoom() error { return unsupported() }

// HasRoom reports false.
func (c *Conn) HasRoom() bool { return false }

func (c *Conn) tryRead(packet, oob []byte) (n, oobn, flags int, _ *net.UnixAddr, err error) {
	return 0, 0, 0, nil, unsupported()
}

func (c *Conn) tryWrite(packet, oob []byte, _ *net.UnixAddr) (n, oobn int, err error) {
	return 0, 0, unsupported()
}

func (c *Conn) readWhole(packet, oob []byte) (n, oobn, flags int, _ *net.UnixAddr, err error) {
	return 0, 0, 0, nil, unsupported()
}

func (c *Conn) tryReadWhole(packet, oob []byte) (n, oobn, flags int, _ *net.UnixAddr, err error) {
	return 0, 0, 0, nil, unsupported()
}

func newMemfd(string, [][]byte) (int, error) { return -1, unsupported() }

func readMemfd(int, []byte) error { return unsupported() }

func unsupported() error {
	return fmt.Errorf("handover socket on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func rights([]int) []byte { return nil }

func parseRights([]byte) ([]int, error) { return nil, nil }

func truncated(int) bool { return false }

func wasReset(error) bool { return false }

func exceedsSocket(error) bool { return false }
