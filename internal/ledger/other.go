//go:build !linux

package ledger

import (
	"errors"
	"fmt"
	"runtime"
)

// A queue needs descriptors that wait in the kernel.
type queue struct{ read, write int }

func unsupported() error {
	return fmt.Errorf("keep connections for the next process on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func newQueue() (queue, error)                 { return queue{}, unsupported() }
func (q *queue) check() error                  { return unsupported() }
func (q queue) send([]byte, []int) error       { return unsupported() }
func (q queue) drop() error                    { return unsupported() }
func (q queue) look(func([]byte, []int)) error { return unsupported() }
func (q queue) close()                         {}
func newPage(int) (page, int, error)           { return nil, -1, unsupported() }
func openPage(int) (page, error)               { return nil, unsupported() }
func remote(int) string                        { return "" }
func shutDown(int)                             {}
