//go:build !linux

package fdutil

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"
)

// Control does nothing.
func Control(any, func(fd int)) {}

// Duplicate returns an error matching errors.ErrUnsupported.
func Duplicate(any) (int, error) { return -1, unsupported() }

// DuplicateFrom returns an error matching errors.ErrUnsupported.
func DuplicateFrom(fd, lowest int) (int, error) { return -1, unsupported() }

func unsupported() error {
	return fmt.Errorf("duplicate a descriptor on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// CloseAll does nothing: there is nobody to get descriptors from.
func CloseAll([]int) {}

// Limit returns 0: it is not known.
func Limit() int { return 0 }

// Free returns most.
func Free(_, most int) int { return most }

// Peek returns 0.
func Peek(net.Conn, []byte) int { return 0 }

// HasUnread reports false: the connection is taken to be silent.
func HasUnread(net.Conn) bool { return false }

// TryWrite writes nothing.
func TryWrite(net.Conn, string) int { return 0 }

// SendStalled reports false: the other end is taken to read.
func SendStalled(net.Conn, time.Duration) bool { return false }

// Lingers reports false.
func Lingers(net.Conn) bool { return false }

// StopLingering does nothing.
func StopLingering(net.Conn) {}

// LastData knows nothing.
func LastData(net.Conn) (received, sent time.Duration, known bool) { return 0, 0, false }

// Taken knows nothing.
func Taken(net.Conn) (n uint64, known bool) { return 0, false }

// TakenFrom knows nothing.
func TakenFrom(int) (n uint64, known bool) { return 0, false }

// WrittenTo knows nothing.
func WrittenTo(int) (n uint64, known bool) { return 0, false }

// IsTCP reports false.
func IsTCP(int) bool { return false }

// ShutDown does nothing: no other process has the connection.
func ShutDown(net.Conn) {}
