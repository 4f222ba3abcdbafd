//go:build !linux

package systemd

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

func ending(context.Context) (bool, error) { return false, unsupported() }

func stopTimeout(context.Context, time.Duration) (Timeout, error) { return Timeout{}, unsupported() }

func askMainProcess(context.Context) (MainProcess, error) { return MainProcess{}, unsupported() }

func askStoreMax(context.Context) (int, error) { return 0, unsupported() }

func unsupported() error {
	return fmt.Errorf("systemd does not run on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
