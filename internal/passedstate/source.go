package passedstate

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/callback"
)

var (
	errHangs = errors.New("its function has not returned from the call before")
	errLate  = errors.New("its function did not return in time")
)

// A Source is a function of the program that gives a state, and the name of
// that. Goroutines may share it.
type Source struct {
	name string
	give func() (State, error)
	busy atomic.Bool // a call of give has not returned
}

// NewSource makes a Source.
func NewSource(name string, give func() (State, error)) *Source {
	return &Source{name: name, give: give}
}

// Name returns the name of the state.
func (s *Source) Name() string { return s.name }

// Given is what a Source has given.
type Given struct {
	Name  string
	State State
	Err   error
}

// Late says that a Source did not answer in time.
func (s *Source) Late() Given {
	return Given{Err: fmt.Errorf("passed state %q: %w", s.name, errLate)}
}

// Ask calls the function, which answers on the channel, now or never. While it
// hangs it is not called again.
func (s *Source) Ask(log hclog.Logger) <-chan Given {
	answer := make(chan Given, 1)
	if !s.busy.CompareAndSwap(false, true) {
		answer <- Given{Err: fmt.Errorf("passed state %q: %w", s.name, errHangs)}
		return answer
	}
	var state State
	give := func() (err error) {
		state, err = s.give()
		return err
	}
	callback.Call(log, fmt.Sprintf("that of the passed state %q", s.name), give, func(err error) {
		s.busy.Store(false)
		if err != nil {
			err = fmt.Errorf("passed state %q: %w", s.name, err)
		}
		answer <- Given{s.name, state, err}
	})
	return answer
}

// Collect asks every Source, until one has no state or ctx ends.
func Collect(ctx context.Context, sources []*Source, log hclog.Logger) ([]Given, error) {
	var all []Given
	var errs []error
	for _, s := range sources {
		select {
		case g := <-s.Ask(log):
			all, errs = append(all, g), append(errs, g.Err)
		case <-ctx.Done():
			errs = append(errs, fmt.Errorf("%w: %w", s.Late().Err, context.Cause(ctx)))
			return nil, errors.Join(errs...)
		}
	}
	return all, errors.Join(errs...)
}
