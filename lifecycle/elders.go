package lifecycle

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"
)

// eldersName is the name of the heirloom by which the next process learns who lives when it begins.
const eldersName = "heirloom-elders"

// Elders are the older generations that have not ended. Each holds one end of a pipe and hands the other down, with those that it
// was handed itself: so the kernel tells every later generation of its end, however it came, and whoever died in between.
type elders struct {
	alone chan struct{} // closed when there are none

	mu    sync.Mutex
	ends  []*os.File // one for each
	ours  *os.File   // to be handed down; nil before the first reload
	alive *os.File   // the other end
}

// Alone is closed when no older generation of the service is left: each has run what it deferred with Defer, or has died. What
// only one process may have is to be had then, such as a database file; work that needs it waits until then, and so do its
// clients. Whoever else lives by then came later, and waits as well.
//
// In a process that no other is beside when it starts, as after a restart or in place, it is closed from the start. In one that has
// a predecessor it is closed after Run has begun, while this process serves or drains: the predecessor does not end before
// this process is ready, so to wait before Run would be in vain.
func (s *Service) Alone() <-chan struct{} { return s.elders.alone }

// meetElders learns from the predecessor, if there is one, who lives.
func (s *Service) meetElders() {
	if h, err := s.Heirloom(eldersName); err == nil {
		s.elders.ends = h.Files
	} else {
		close(s.elders.alone)
	}
}

// handDown returns what the next process has to know, in files that are the caller's.
func (e *elders) handDown() (Heirloom, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ours == nil {
		var err error
		if e.ours, e.alive, err = os.Pipe(); err != nil {
			return Heirloom{}, err
		}
	}
	var h Heirloom
	for _, f := range append([]*os.File{e.ours}, e.ends...) {
		fd, err := duplicate(f)
		if err != nil {
			h.closeFiles()
			return Heirloom{}, err
		}
		h.Files = append(h.Files, os.NewFile(uintptr(fd), eldersName))
	}
	if err := h.check(); err != nil {
		h.closeFiles()
		return Heirloom{}, err
	}
	return h, nil
}

// await closes alone when all have ended, and returns then, or after quit.
func (e *elders) await() {
	e.mu.Lock()
	ends := slices.Clone(e.ends)
	e.mu.Unlock()
	if len(ends) == 0 {
		return
	}
	for _, f := range ends {
		if _, err := f.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			return
		}
		e.mu.Lock()
		e.ends = slices.DeleteFunc(e.ends, func(end *os.File) bool { return end == f })
		e.mu.Unlock()
		_ = f.Close()
	}
	close(e.alone)
}

// quit tells later generations that this one has ended, and makes await return.
func (e *elders) quit() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range append(e.ends, e.ours, e.alive) {
		_ = f.Close() // one that is nil says os.ErrInvalid
	}
}
