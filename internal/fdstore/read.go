package fdstore

import (
	"errors"
	"net"
	"slices"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// An Entry is what a generation that is gone has left: a handover socket, and
// the messages queued in it. It came from the store, or by re-exec in place.
type Entry struct {
	Conn       *handover.Conn
	Generation int

	name     string // in the store, "" if it was never there
	taken    bool
	outdated bool // nothing in it can be read any more: it is to be dropped
}

// Take takes over the connections of e, as r.TakeQueued does.
func (e *Entry) Take(r *transfer.Receiver, over <-chan struct{}, next func()) {
	if e.outdated {
		_ = e.Conn.Close()
		return
	}
	r.TakeQueued(e.Conn, e.Generation, over, next)
}

// Found is what generations that are gone have left. Of what they say of the
// service, the newest counts.
type Found struct {
	Entries []*Entry
	// Next is the generation after all of them, 0 if there were none.
	Next int
	// Bound is what the service had bound itself, and HasBound whether that is
	// known.
	Bound    []handover.Bound
	HasBound bool
	// Outcome is that of the reload in place by which this process came, nil if
	// it came otherwise.
	Outcome *handover.Outcome
	// Stop says that the service was told to stop, too late for the program
	// before in this process.
	Stop bool

	foreign []string // names in the store that are to stay there
}

// Files are those that this process was started with: an *activation.Table.
type Files interface {
	Files() []activation.File
	Conns(name string) ([]net.Conn, error)
}

// Find claims what earlier generations have left among files, and own: the
// handover socket of this process before its execve, nil if there was none. It
// peeks at the messages, and takes none. state is called for each State that is
// for this process, and owns its descriptors.
//
// What cannot be parsed stays in the store, for a version of this program that
// can, unless its protocol is older than any that this version or a later one
// speaks: that is dropped.
func Find(files Files, own *handover.Conn, state func(m handover.Message, fds []int), log hclog.Logger) *Found {
	f := &Found{}
	if own != nil {
		f.Entries = append(f.Entries, &Entry{Conn: own})
	}
	f.claim(files, log)
	newest, warned := 0, false
	f.Entries = slices.DeleteFunc(f.Entries, func(e *Entry) bool {
		err := f.inspect(e, &newest, state)
		switch {
		case err == nil:
			return false
		case e.outdated:
			if !warned {
				log.Warn("dropping what a process of an older version stored", "file", e.name, "generation", e.Generation, "error", err)
			}
			warned = true
			return false
		}
		log.Error("ignoring connections that an earlier process queued", "file", e.name, "error", err)
		f.foreign = append(f.foreign, e.name)
		_ = e.Conn.Close()
		return true
	})
	return f
}

func (f *Found) claim(files Files, log hclog.Logger) {
	seen := map[string]bool{}
	for _, file := range files.Files() {
		generation, ok := Generation(file.Name)
		if !ok || seen[file.Name] {
			continue
		}
		seen[file.Name] = true
		conns, err := files.Conns(file.Name)
		if err != nil {
			log.Warn("left alone what has the name of a handover socket", "file", file, "error", err)
			continue
		}
		for _, nc := range conns {
			unixConn, ok := nc.(*net.UnixConn)
			if !ok {
				_ = nc.Close()
				continue
			}
			f.Entries = append(f.Entries, &Entry{Conn: handover.NewConn(unixConn), Generation: generation, name: file.Name})
		}
	}
}

// inspect reads what e says of the service: generation, listeners, passed
// state.
//
// A process that died when it had begun to take e over has taken the first
// message. Then there is no state: none is handed down over a crash.
func (f *Found) inspect(e *Entry, newest *int, state func(m handover.Message, fds []int)) error {
	f.Next = max(f.Next, e.Generation+1)
	var foreign error
	whole := false
	err := e.Conn.Peek(func(m handover.Message, fds []int) {
		switch {
		case m.IsHello():
			foreign, e.outdated = m.CheckHello(), m.IsOutdated()
			whole, e.Generation = foreign == nil, m.Generation
			f.Next = max(f.Next, m.Generation+1)
			if whole && m.Generation >= *newest {
				*newest, f.Bound, f.HasBound = m.Generation, m.Bound, true
			}
		case foreign != nil:
		case m.Type == handover.State && whole:
			state(m, fds)
			return
		case m.Type == handover.Main:
			f.Outcome = m.Outcome
		case m.Type == handover.Stop:
			f.Stop = true
		}
		fdutil.CloseAll(fds)
	})
	return errors.Join(err, foreign)
}
