//go:build !linux

package notify

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// errNoLink is the error of every call that needs a socket.
var errNoLink = fmt.Errorf("sd_notify on %s: %w", runtime.GOOS, errors.ErrUnsupported)

// link is never opened here.
type link struct{}

func openLink(address, time.Duration) (*link, error) {
	return nil, errNoLink
}

func (*link) send(context.Context, []byte, []int) error { return errNoLink }

func (*link) close() error { return nil }

// monotonicMicroseconds is never sent, since there is no link.
func monotonicMicroseconds() uint64 { return 0 }
