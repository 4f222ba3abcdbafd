package lifecycle

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/passedstate"
	"github.com/heirloom-go/heirloom/internal/predecessor"
)

// A PassedState is a piece of state that one generation passes to the next.
type PassedState struct {
	// Version tells versions of a program apart that encode Data in different
	// ways. The program chooses it.
	Version int
	// Data is up to MaxPassedState bytes. Data that does not fit into a message
	// travels in a memfd (memfd_create(2)).
	Data []byte
	// Files are open files and sockets, up to MaxPassedFiles. A process keeps
	// its own, and the next process gets duplicates, which it owns. Both share
	// the open file descriptions.
	Files []*os.File
}

// check finds out whether the state may be sent.
func (p PassedState) check() error {
	if len(p.Data) > MaxPassedState {
		return fmt.Errorf("%w: %d bytes of data, more than %d", ErrTooLarge, len(p.Data), MaxPassedState)
	}
	if len(p.Files) > MaxPassedFiles {
		return fmt.Errorf("%w: %d files, more than %d", ErrTooLarge, len(p.Files), MaxPassedFiles)
	}
	return nil
}

const (
	// MaxPassedState is how many bytes of Data a PassedState may have: 64 MiB.
	MaxPassedState = 64 << 20
	// MaxPassedFiles is how many Files it may have: 250.
	MaxPassedFiles = handover.MaxDescriptors
)

// maxName is how many bytes the name of a passed state may have. A message has
// room for it, whatever else is in it.
const maxName = 4 << 10

// PassState has give called each time when another process is about to come
// after this one, for the state of that name to pass to it. It must be called
// before Run.
//
// On a reload with a successor alongside this process, give is called before
// the successor is started, so later changes here are not in the state. If give
// fails the reload fails. On a restart, and on a reload in place, give is
// called last of all, after the last response. If it fails then, the error is
// logged and the next process starts without that state.
//
// A panic of give is an error, and so is a give that does not return in time.
// The limit is Options.ReloadTimeout on a reload with a successor alongside,
// and otherwise its share of what is left of the drain. A give that hangs is
// not waited for and not called again: a reload fails at once.
//
// On a restart the state is in the unit's file descriptor store. After
// `systemctl stop` and `start` it is gone, unless the unit says
// FileDescriptorStorePreserve=yes. After a crash it is always gone.
//
// The error matches fs.ErrExist if the name has a function already, ErrReserved
// for "heirloom-older-generations", ErrTooLarge if the name has more than 4096
// bytes, and ErrRunning after Run.
func (s *Service) PassState(name string, give func() (PassedState, error)) error {
	if err := s.registered.lock("pass state %q", name); err != nil {
		return err
	}
	defer s.registered.mu.Unlock()
	switch {
	case name == predecessor.OlderName:
		return fmt.Errorf("pass state %q: %w", name, ErrReserved)
	case len(name) > maxName:
		return fmt.Errorf("pass state %.40q: %w: its name has %d bytes, more than %d", name, ErrTooLarge, len(name), maxName)
	}
	for _, b := range s.registered.states {
		if b.Name() == name {
			return fmt.Errorf("pass state %q: %w", name, fs.ErrExist)
		}
	}
	s.registered.states = append(s.registered.states, passedstate.NewSource(name, func() (passedstate.State, error) {
		h, err := give()
		if err == nil {
			err = h.check()
		}
		return passedstate.State(h), err
	}))
	return nil
}

// InheritedState returns the state of that name that the generation before
// passed on. The caller owns its Files, so a second call finds nothing, and
// neither does one after Run has started. The error then matches
// fs.ErrNotExist, as it does if no such state was passed.
func (s *Service) InheritedState(name string) (PassedState, error) {
	s.registered.mu.Lock()
	defer s.registered.mu.Unlock()
	h, ok := s.inherited.States.Take(name)
	if !ok {
		return PassedState{}, fmt.Errorf("passed state %q: %w", name, fs.ErrNotExist)
	}
	return PassedState(h), nil
}
