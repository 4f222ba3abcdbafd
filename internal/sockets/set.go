package sockets

import (
	"fmt"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/control"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// A Set has the sockets of a process. Goroutines may share it once it is
// complete. The zero value has none.
type Set struct {
	from Origin
	log  hclog.Logger
	all  []*Socket
}

// An Origin is where a Set takes sockets from.
type Origin struct {
	Table *activation.Table
	Bound []handover.Bound // what an earlier generation had bound itself
	// DryRun says that the process is not to serve, and that the one that it
	// stands for may have another unit. It has the sandbox of the process that
	// started it, and need not be able to bind.
	DryRun bool
}

// New makes a Set that takes sockets from there, or binds them.
func New(from Origin, log hclog.Logger) *Set { return &Set{from: from, log: log} }

// Bound returns the sockets that the service has bound itself, in this
// generation or an earlier one.
func (s *Set) Bound() []handover.Bound {
	var bound []handover.Bound
	for _, k := range s.all {
		if k.bound != nil {
			bound = append(bound, *k.bound)
		}
	}
	return bound
}

// Duplicate returns duplicates of all sockets, with their names. The caller
// owns them, also when there is an error.
func (s *Set) Duplicate() (fds []int, names []string, err error) {
	for _, k := range s.all {
		fd, err := fdutil.Duplicate(k.socket)
		if err != nil {
			return fds, names, fmt.Errorf("hand over listener %q: %w", k.name, err)
		}
		fds, names = append(fds, fd), append(names, k.name)
	}
	return fds, names, nil
}

// Open lets reads of datagrams begin.
func (s *Set) Open() {
	for _, k := range s.all {
		k.open()
	}
}

// Shut ends every Accept, and reads of datagrams. Where the service ends, its
// control socket is left open.
func (s *Set) Shut(butControl bool) {
	for _, k := range s.all {
		if !butControl || k.name != control.ListenerName {
			k.shut()
		}
	}
}

// Close closes all sockets.
func (s *Set) Close() {
	for _, k := range s.all {
		_ = k.Close()
	}
}

// UnlinkOnClose has Close remove the Unix paths that the service has bound, as
// no process follows. The sockets that stay in the store keep theirs, if that
// has them.
func (s *Set) UnlinkOnClose(hasStore bool) {
	for _, k := range s.all {
		k.setUnlink(k.bound != nil && (!hasStore || !k.isStored()))
	}
}
