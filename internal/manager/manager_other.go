//go:build !linux

package manager

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

func ending(context.Context) (bool, error) { return false, unsupported() }

func stopTimeout(context.Context, time.Duration) (Timeout, error) { return Timeout{}, unsupported() }

func unsupported() error {
	return fmt.Errorf("systemd does not run on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
