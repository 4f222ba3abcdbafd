// Package inplace has what a program is given that replaces this one in its
// process: the sockets, the connections at rest, and how the reload went.
//
// Connections and messages are queued in handover sockets, whose ends to be
// read the new program inherits. Until it runs they can be taken back. How a
// program is replaced is package execreplace's.
package inplace

import (
	"os"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/execreplace"
	"github.com/heirloom-go/heirloom/internal/fdstore"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// A Replacement is the program that is about to replace this one in this
// process, and what it is to be given. It belongs to the loop.
type Replacement struct {
	Queue *transfer.Queue // takes the connections that are to go there

	config    Config
	program   *execreplace.Program
	ends      []int // of the queue's sockets, to be read
	listeners []int
	names     []string // of the listeners
	began     time.Time
}

// A Config is what a Replacement needs to know of the service.
type Config struct {
	Program    string
	Generation int // of this program
	// Sockets returns duplicates of the sockets, and their names. The caller
	// owns them, also when there is an error.
	Sockets func() (fds []int, names []string, err error)
	Hello   handover.Message // the first message in each handover socket
	Owner   transfer.Owner   // of connections that cannot be queued
	Log     hclog.Logger
}

// Prepare finds out what can fail while nothing is given up yet, and makes a
// Replacement, for which Discard is to be called.
func Prepare(c Config) (*Replacement, error) {
	r := &Replacement{config: c, began: time.Now()}
	if err := r.prepare(); err != nil {
		r.Discard()
		return nil, transfer.ExplainShortage(err)
	}
	return r, nil
}

func (r *Replacement) prepare() (err error) {
	if r.program, err = execreplace.Open(r.config.Program); err != nil {
		return err
	}
	if r.listeners, r.names, err = r.config.Sockets(); err != nil {
		return err
	}
	r.Queue, err = transfer.NewQueue(r.config.Hello, r.keep, r.config.Owner, r.config.Log)
	return err
}

func (r *Replacement) keep(end int) error {
	r.ends = append(r.ends, end)
	return nil
}

// Discard closes the descriptors that the new program was to be given. It may
// be called again.
func (r *Replacement) Discard() {
	fdutil.CloseAll(r.listeners)
	fdutil.CloseAll(r.ends)
	r.listeners, r.ends = nil, nil
	if r.program != nil {
		_ = r.program.Close()
	}
	if r.Queue != nil {
		r.Queue.Close()
	}
}

// TakeBack discards r, and returns the connections that are queued: they are
// served here after all. No connection may come to the Queue any more.
func (r *Replacement) TakeBack() []*fdstore.Entry {
	r.Queue.Lose()
	r.Queue.Close()
	var entries []*fdstore.Entry
	for _, end := range r.ends {
		conn, err := handover.FromDescriptor(end)
		if err != nil {
			r.config.Log.Error("cannot take back connections", "error", err)
			continue
		}
		entries = append(entries, &fdstore.Entry{Conn: conn, Generation: r.config.Generation})
	}
	r.ends = nil
	r.Discard()
	return entries
}

// Environ returns the environment of the new program, by which it finds what it
// is given.
func (r *Replacement) Environ() ([]string, error) {
	names := []string{activation.HandoverName}
	for range r.ends[1:] {
		names = append(names, fdstore.Name(r.config.Generation))
	}
	return activation.Environ(os.Environ(), os.Getpid(), append(names, r.names...))
}

// Exec replaces the program, and returns only if that is impossible. stop says
// at the very last whether the service is to stop, which the new program then
// does. environ, which is called after it, is given what Environ has, and is to
// return that, or more.
func (r *Replacement) Exec(args []string, stop func() bool, environ func([]string) []string) error {
	// The list of descriptors and the environment are made before the last
	// words are said, which must not need an end that is in neither.
	if err := r.Queue.Reserve(); err != nil {
		r.config.Log.Warn("there may be no room for what the new program is told last", "error", err)
	}
	env, err := r.Environ()
	if err != nil {
		return err
	}
	return r.program.Exec(args, slices.Concat(r.ends, r.listeners), func(reason error) []string {
		r.sayLast(reason, stop)
		return environ(env)
	})
}

// sayLast tells the new program how it came about, and that the service was
// told to stop if it was just now.
func (r *Replacement) sayLast(reason error, stop func() bool) {
	outcome := handover.Outcome{
		At:         r.began,
		Duration:   time.Since(r.began),
		Generation: r.config.Generation + 1,
		PID:        os.Getpid(),
	}
	if reason != nil {
		outcome.Reason = reason.Error()
	}
	messages := []handover.Message{{Type: handover.Main, Outcome: &outcome}}
	if stop() {
		messages = append(messages, handover.Message{Type: handover.Stop})
	}
	for _, m := range messages {
		if err := r.Queue.Send(func(send transfer.SendFunc) error { return send(m) }); err != nil {
			r.config.Log.Warn("cannot tell the new program", "message", m.Type, "error", err)
		}
	}
}
