//go:build !linux

package scale

import (
	"errors"
	"time"
)

const lookTime = time.Millisecond

// CPUTime returns an error.
func CPUTime(int) (time.Duration, error) { return 0, errors.ErrUnsupported }

type watch struct{}

func newWatch(int, int) (*watch, error) { return nil, errors.ErrUnsupported }

func (*watch) end()            {}
func (*watch) gained(int) bool { return false }
func (*watch) has(int) bool    { return false }

func (*watch) waiting() time.Duration { return 0 }

func (*Round) account(*watch, int, int) {}

func bareRound(string, int) (Round, error) { return Round{}, errors.ErrUnsupported }
