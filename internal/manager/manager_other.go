//go:build !linux

package manager

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

func ending(context.Context) (bool, error) {
	return false, fmt.Errorf("systemd does not run on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
