package lifecycle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/heirloom-go/heirloom/internal/handover"
)

const (
	// MaxHeirloom is how many bytes of Data an Heirloom may have: 64 MiB.
	MaxHeirloom = 64 << 20
	// MaxHeirloomFiles is how many Files it may have: 250.
	MaxHeirloomFiles = handover.MaxDescriptors
)

// ErrTooLarge is matched by the error for an Heirloom, or a Stream's state, that is larger than it may be.
var ErrTooLarge = errors.New("too large to hand down")

// An Heirloom is a piece of state that one generation hands down to the next.
type Heirloom struct {
	// Version tells the generations of a program apart that encode Data in different ways. It
	// is the program's own.
	Version int
	// Data is up to MaxHeirloom bytes. What does not fit into a message travels in a memfd
	// (memfd_create(2)).
	Data []byte
	// Files are open files and sockets, up to MaxHeirloomFiles. Of those it hands down a
	// process keeps its own, and the next gets duplicates, which it owns; either shares the
	// open file description with the other.
	Files []*os.File
}

// A bequest is an Heirloom to be.
type bequest struct {
	name string
	give func() (Heirloom, error)
}

// Bequeath has give called for the heirloom of that name each time when another process is about to come after this one. It
// comes before Run.
//
// On a reload with a successor beside this process, give is called before the successor is started, so what changes here
// afterwards is not in it; if it fails the reload does. On a restart, and on a reload in place, it is called last of all, when
// every request has been answered; if it fails, that is logged and the next process does without.
//
// A restart hands down what systemd keeps in the unit's file descriptor store. After `systemctl stop` and `start` there is
// nothing, unless the unit says FileDescriptorStorePreserve=yes, nor is there after a crash.
//
// The error matches fs.ErrExist if the name is given away already, ErrReserved for "heirloom-elders", and ErrRunning after Run.
func (s *Service) Bequeath(name string, give func() (Heirloom, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.running:
		return fmt.Errorf("bequeath %q: %w", name, ErrRunning)
	case name == eldersName:
		return fmt.Errorf("bequeath %q: %w", name, ErrReserved)
	}
	for _, b := range s.bequests {
		if b.name == name {
			return fmt.Errorf("bequeath %q: %w", name, fs.ErrExist)
		}
	}
	s.bequests = append(s.bequests, bequest{name, give})
	return nil
}

// Heirloom returns what the generation before handed down by that name. The caller owns its Files, so a second call, like one
// after Run has begun, finds nothing: then, and if nothing was handed down, the error matches fs.ErrNotExist.
func (s *Service) Heirloom(name string) (Heirloom, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.heirlooms[name]
	if !ok {
		return Heirloom{}, fmt.Errorf("heirloom %q: %w", name, fs.ErrNotExist)
	}
	delete(s.heirlooms, name)
	return h, nil
}

// inheritState takes in a message of a State, whose descriptors it owns.
func (s *Service) inheritState(m handover.Message, fds []int) {
	h := Heirloom{Version: m.Version}
	if len(m.States) > 0 {
		h.Data = m.States[0]
	}
	for _, fd := range fds {
		h.Files = append(h.Files, os.NewFile(uintptr(fd), m.Name))
	}
	if s.heirlooms == nil {
		s.heirlooms = make(map[string]Heirloom)
	}
	s.heirlooms[m.Name].closeFiles() // a later one of the name replaces it
	s.heirlooms[m.Name] = h
}

// dropHeirlooms closes what nobody asked for.
func (s *Service) dropHeirlooms() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, h := range s.heirlooms {
		s.log.Debug("nobody asked for the heirloom", "name", name)
		h.closeFiles()
	}
	s.heirlooms = nil
}

func (h Heirloom) closeFiles() {
	for _, f := range h.Files {
		_ = f.Close()
	}
}

// check finds out whether the heirloom may be sent.
func (h Heirloom) check() error {
	if len(h.Data) > MaxHeirloom {
		return fmt.Errorf("%w: %d bytes of data, more than %d", ErrTooLarge, len(h.Data), MaxHeirloom)
	}
	if len(h.Files) > MaxHeirloomFiles {
		return fmt.Errorf("%w: %d files, more than %d", ErrTooLarge, len(h.Files), MaxHeirloomFiles)
	}
	return nil
}

// collect asks for every heirloom. Those that can be had are returned also with an error.
func (s *Service) collect() ([]Heirloom, []string, error) {
	var heirlooms []Heirloom
	var names []string
	var errs []error
	for _, b := range s.bequests {
		h, err := b.give()
		if err == nil {
			err = h.check()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("heirloom %q: %w", b.name, err))
			continue
		}
		heirlooms, names = append(heirlooms, h), append(names, b.name)
	}
	return heirlooms, names, errors.Join(errs...)
}

// send sends the heirloom by that name.
func (h Heirloom) send(name string, send func(handover.Message, ...int) error) error {
	var fds []int
	defer func() { closeDescriptors(fds) }()
	for _, f := range h.Files {
		fd, err := duplicate(f)
		if err != nil {
			return fmt.Errorf("heirloom %q: %w", name, err)
		}
		fds = append(fds, fd)
	}
	m := handover.Message{Type: handover.State, Name: name, Version: h.Version, States: [][]byte{h.Data}}
	if err := send(m, fds...); err != nil {
		return fmt.Errorf("heirloom %q: %w", name, err)
	}
	return nil
}
