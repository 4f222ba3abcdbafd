// Package passedstate has the state that one generation of a program passes to
// the next: data and open files, by a name.
//
// A [Source] is a function of the program, which is asked when another process
// is about to come. What it gives is sent as a message of package handover.
// [Received] is what this process was passed itself.
package passedstate

import (
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// A State is a piece of state. The fields are those of lifecycle.PassedState.
type State struct {
	Version int
	Data    []byte
	Files   []*os.File
}

// Close closes the files.
func (s State) Close() {
	for _, f := range s.Files {
		_ = f.Close()
	}
}

// Send sends the state, and duplicates of its files.
func (g Given) Send(send transfer.SendFunc) error {
	var fds []int
	defer func() { fdutil.CloseAll(fds) }()
	for _, f := range g.State.Files {
		fd, err := fdutil.Duplicate(f)
		if err != nil {
			return fmt.Errorf("passed state %q: %w", g.Name, err)
		}
		fds = append(fds, fd)
	}
	m := handover.Message{
		Type:    handover.State,
		Passed:  handover.Passed{Name: g.Name, Version: g.State.Version},
		Payload: handover.Payload{States: [][]byte{g.State.Data}},
	}
	if err := send(m, fds...); err != nil {
		return fmt.Errorf("passed state %q: %w", g.Name, err)
	}
	return nil
}

// Received are the states that were passed to this process, by name. The zero
// value has none.
type Received struct{ states map[string]State }

// Add takes in a message of a State, whose descriptors it owns. A later one of
// a name replaces an earlier one.
func (r *Received) Add(m handover.Message, fds []int) {
	s := State{Version: m.Version}
	if len(m.States) > 0 {
		s.Data = m.States[0]
	}
	for _, fd := range fds {
		s.Files = append(s.Files, os.NewFile(uintptr(fd), m.Name))
	}
	if r.states == nil {
		r.states = make(map[string]State)
	}
	r.states[m.Name].Close()
	r.states[m.Name] = s
}

// Take returns the state of a name, which is the caller's from then on.
func (r *Received) Take(name string) (State, bool) {
	s, ok := r.states[name]
	delete(r.states, name)
	return s, ok
}

// Drop closes the files of states that the program did not ask for.
func (r *Received) Drop(log hclog.Logger) {
	for name, s := range r.states {
		log.Debug("nobody asked for the passed state", "name", name)
		s.Close()
	}
	r.states = nil
}
