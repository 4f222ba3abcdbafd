package activation

import (
	"errors"
	"net"
	"sync"
)

// Table is what this process was handed: named files, each of which is claimed
// at most once. It owns the descriptors that nobody has claimed; whoever claims
// one owns it. [Inherit] makes it; the zero Table was handed nothing, so its
// Listen methods always bind. A Table may be used from several goroutines at
// once, and must not be copied.
//
// A claim that fails because of what the file is, its name or its address
// leaves the file in the table. If the system has no room for the file (EMFILE,
// ENOMEM), it is closed.
type Table struct {
	mu       sync.Mutex // guards Claimed and closed of the entries, and handover
	entries  []*entry
	handover *net.UnixConn

	predecessor int
	remoteAddr  string
	remotePort  string
	ignored     error
}

// Files describes the files that were handed, in descriptor order, whether they
// were claimed or not. The list is the caller's. After Close it is still there:
// unclaimed files are the ones that were closed.
func (t *Table) Files() []File {
	t.mu.Lock()
	defer t.mu.Unlock()
	files := make([]File, 0, len(t.entries))
	for _, e := range t.entries {
		files = append(files, e.File)
	}
	return files
}

// Predecessor returns the handover socket, whose other end the predecessor
// made, and the predecessor's pid; nil and 0 when this process was started by
// something else. The caller owns the socket, so a second call returns nil with
// the pid, as do calls after [Table.Close], which closes it if nobody took it.
func (t *Table) Predecessor() (handover *net.UnixConn, pid int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	handover, t.handover = t.handover, nil
	return handover, t.predecessor
}

// Ignored says why the variables this process was started with were set aside,
// for a log line: they name another process, or a predecessor that did not
// prove itself. It is nil if they were not, or if there were none.
func (t *Table) Ignored() error {
	return t.ignored
}

// Close closes every file that nobody claimed, the handover socket included;
// call it when the service is ready. Files that were claimed are not affected.
// Afterwards a claim of a closed name matches os.ErrClosed, while Listen and
// its kin still bind under names that were never handed. A second call does
// nothing.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, e := range t.entries {
		if !e.Claimed && !e.closed {
			e.closed = true
			errs = append(errs, e.close())
		}
	}
	if t.handover != nil {
		errs = append(errs, t.handover.Close())
		t.handover = nil
	}
	return errors.Join(errs...)
}

func (t *Table) has(name string) bool {
	for _, e := range t.entries {
		if e.Name == name {
			return true
		}
	}
	return false
}
