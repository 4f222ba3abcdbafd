package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// A turn says when this process may open what one process at a time may have open, and tells the next one.
//
// Each process holds one end of a pipe, and hands the other end down. The next one reads there, and finds the end of the file when
// this one has let go, or has died: the kernel sees to it that no death goes unnoticed. So the generations come one after the
// other, also when a reload follows upon the other and several of them wait. A lock alone would have no order, and the last
// could come before one that has requests to answer.
type turn struct {
	before *os.File // at whose end the turn has come; nil if it has
	after  *os.File // where the next one waits
	held   *os.File // the end of after, until the next one's turn has come
}

// newTurn takes its place behind the generation before, if there is one that has not let go. Its version tells the next generation
// how the data is written: one that does not know that version must not begin.
func newTurn(service *lifecycle.Service, name string, version int) (*turn, error) {
	t := &turn{}
	before, err := service.Heirloom(name)
	switch {
	case errors.Is(err, fs.ErrNotExist): // the first, or the one after a crash
	case err != nil:
		return nil, err
	case before.Version > version:
		return nil, fmt.Errorf("%s: the running process writes version %d, and this program knows versions up to %d", name, before.Version, version)
	case len(before.Files) == 1:
		t.before = before.Files[0]
	}
	if t.after, t.held, err = os.Pipe(); err != nil {
		return nil, err
	}
	return t, service.Bequeath(name, func() (lifecycle.Heirloom, error) {
		return t.handDown(version), nil
	})
}

// handDown returns what the next generation waits at. It is asked for before the next one starts, or, if that comes after the
// end of this one, at the end: then there is nothing to wait for.
func (t *turn) handDown(version int) lifecycle.Heirloom {
	h := lifecycle.Heirloom{Version: version}
	if _, err := t.held.Stat(); err == nil { // not closed
		h.Files = append(h.Files, t.after)
	}
	return h
}

// hasCome reports whether nobody comes before this process.
func (t *turn) hasCome() bool { return t.before == nil }

// wait waits until nobody does.
func (t *turn) wait(context.Context) error {
	if t.hasCome() {
		return nil
	}
	// It does not end with the context, when this process is to end: its requests want to be answered all the same. Whoever
	// comes before it ends by a deadline.
	if _, err := t.before.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("wait for the process before: %w", err)
	}
	return t.before.Close()
}

// pass passes the turn on.
func (t *turn) pass() error { return t.held.Close() }
