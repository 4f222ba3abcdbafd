//go:build !linux

package process

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// A Process is one that was found.
type Process struct {
	PID int
}

// Start returns an error matching errors.ErrUnsupported.
func Start(string, []string, []string, []int, bool) (*Process, error) {
	return nil, fmt.Errorf("start a successor on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Find returns a Process that cannot be waited for.
func Find(pid int) *Process { return &Process{PID: pid} }

// Kill does nothing.
func (p *Process) Kill() {}

// Wait returns an error matching errors.ErrUnsupported.
func (p *Process) Wait(context.Context) (string, error) { return "", errors.ErrUnsupported }

// StopWaiting does nothing.
func (p *Process) StopWaiting() {}

// Release does nothing.
func (p *Process) Release() {}
