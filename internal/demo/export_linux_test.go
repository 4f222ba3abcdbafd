package main

import (
	"context"
	"io"
	"time"
)

// ErrLeft is matched by the error of RunStubborn.
var ErrLeft = errLeft

// RunStubborn starts program as a service and, when ready returns, ends it with little patience. It returns the process group,
// and what end does.
func RunStubborn(program, dir string, ready func()) (group int, err error) {
	s, err := startService(program, dir)
	if err != nil {
		return 0, err
	}
	s.stop = 50 * time.Millisecond
	ready()
	return s.group, s.end(io.Discard, nil)
}

// StartAndWait starts program and waits until it serves.
func StartAndWait(ctx context.Context, program, dir string) error {
	s, err := startService(program, dir)
	if err != nil {
		return err
	}
	defer func() { _ = s.end(io.Discard, nil) }()
	return s.waitServing(ctx)
}
