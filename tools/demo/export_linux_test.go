package main

import (
	"os"
	"time"

	"github.com/heirloom-go/heirloom/tools/demo/show"
)

// ErrLeft is matched by the error of RunStubborn.
var ErrLeft = errLeft

// RunStubborn starts program as a service and, when ready returns, ends it with
// little patience. It returns the process group, and what end does.
func RunStubborn(program, dir string, ready func()) (group int, err error) {
	s, err := startService(program, dir, false)
	if err != nil {
		return 0, err
	}
	s.stop = 50 * time.Millisecond
	ready()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = null.Close() }()
	return s.group, s.end(show.NewScreen(null), nil)
}
