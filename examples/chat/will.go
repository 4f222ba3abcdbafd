package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

const (
	willVersion = 1
	willTimeout = 5 * time.Second  // to read or write the will
	mournFor    = 10 * time.Second // from the end of the process before, for members who have not arrived
)

// A snapshot is the state of the chat that one process passes to the next.
type snapshot struct {
	Rooms  map[string]*room
	People map[string]*person
}

// A will is the pipe by which the last snapshot goes to a process that runs
// alongside this one. State is passed before that process is started, but
// people write lines until it takes over, and only then is the snapshot final.
// So the passed state has the first snapshot, which is good enough if this
// process dies too soon, and the pipe, which brings the last one. The end of
// file on the pipe says that this process has ended.
type will struct{ r, w *os.File }

// newHub makes the hub of this process, with the rooms of the one before.
func newHub(service *lifecycle.Service, log hclog.Logger) (*hub, error) {
	h := &hub{
		log:    log,
		opened: make(chan struct{}),
		rooms:  make(map[string]*room),
		people: make(map[string]*person),
	}
	passed, err := service.InheritedState("rooms")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if passed.Version > willVersion { // chat was downgraded; starting without state is better than not starting
		log.Warn("cannot read the rooms of the process before", "version", passed.Version, "known", willVersion)
		closeAll(passed.Files)
		passed = lifecycle.PassedState{}
	}
	if err := h.inherit(bytes.NewReader(passed.Data)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return h, errors.Join(
		service.PassState("rooms", h.passState),
		service.Go("rooms", func(ctx context.Context) error { return h.run(ctx, passed.Files) }),
	)
}

// inherit reads a snapshot. The error is io.EOF if there is none.
func (h *hub) inherit(from io.Reader) error {
	var e snapshot
	if err := json.NewDecoder(from).Decode(&e); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, was := range e.Rooms {
		r := newRoom()
		r.Topic, r.First, r.Lines = was.Topic, was.First, was.Lines
		for _, line := range was.Lines {
			r.bytes += len(line)
		}
		e.Rooms[name] = r
	}
	h.rooms, h.people = e.Rooms, e.People
	return nil
}

// run opens the rooms, and closes them when another process comes or this one
// is to end.
func (h *hub) run(ctx context.Context, wills []*os.File) error {
	for _, f := range wills {
		if err := h.inherit(f); err != nil {
			h.log.Warn("the process before has died without a will, what was said last is lost", "error", err)
		}
	}
	close(h.opened)
	h.mourn(ctx, wills)
	<-ctx.Done()
	h.close(errors.Is(context.Cause(ctx), lifecycle.ErrReplaced))
	return nil
}

// mourn waits for the process before to end, and strikes those off who were
// there and do not arrive.
func (h *hub) mourn(ctx context.Context, wills []*os.File) {
	stop := context.AfterFunc(ctx, func() { closeAll(wills) }) // which ends the reading
	defer stop()
	for _, f := range wills {
		_, _ = io.Copy(io.Discard, f)
	}
	closeAll(wills)
	select {
	case <-ctx.Done():
		return
	case <-time.After(mournFor):
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, p := range h.people {
		if !p.here {
			delete(h.people, name)
			h.rooms[p.Room].say(fmt.Sprintf("* %s has left", name))
		}
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // was only read
	}
}

// close closes the rooms, and makes the will if there is one to read it.
func (h *hub) close(replaced bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if !replaced || h.will == nil {
		return // then passState is called again, last of all
	}
	data, err := h.snapshotLocked()
	if err == nil {
		err = h.will.write(data)
	}
	if err != nil {
		h.log.Error("the next process does not know what was said last", "error", err)
	}
}

// passState returns the state for the next process. It is called before that is
// started, or when this process has ended all its work.
func (h *hub) passState() (lifecycle.PassedState, error) {
	select {
	case <-h.opened:
	case <-time.After(willTimeout):
		return lifecycle.PassedState{}, errors.New("the rooms are not open here yet")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	data, err := h.snapshotLocked()
	if err != nil || h.closed {
		return lifecycle.PassedState{Version: willVersion, Data: data}, err
	}
	if h.will != nil {
		h.will.drop() // was for a process that did not become ready
	}
	if h.will, err = newWill(); err != nil {
		return lifecycle.PassedState{}, err
	}
	return lifecycle.PassedState{Version: willVersion, Data: data, Files: []*os.File{h.will.r}}, nil
}

func (h *hub) snapshotLocked() ([]byte, error) {
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false) // which would make six bytes of each <
	err := encoder.Encode(snapshot{Rooms: h.rooms, People: h.people})
	return data.Bytes(), err
}

func newWill() (*will, error) {
	r, w, err := os.Pipe()
	return &will{r, w}, err
}

// write has its time, because the pipe does not break when its reader dies: r
// is open here as well. The pipe stays open until this process ends.
func (w *will) write(data []byte) error {
	if err := w.w.SetWriteDeadline(time.Now().Add(willTimeout)); err != nil {
		return err
	}
	_, err := w.w.Write(data)
	return err
}

func (w *will) drop() {
	_ = w.r.Close()
	_ = w.w.Close()
}
