package main

import "sync"

const (
	keepBytes = 256 << 10 // of a room's last lines; with maxRooms of them a passed state is far from lifecycle.MaxPassedState
	newcomer  = 10        // how many of the last lines somebody is shown who enters
)

// A room is a topic and the last lines. Each member reads the lines at their
// own pace. A slow member does not hold up the others, and a member that was
// moving from one process to the next finds here the lines said in between.
type room struct {
	Topic string // guarded by the hub

	mu    sync.Mutex
	First uint64 // the number of the first of Lines
	Lines []string
	bytes int           // in Lines
	more  chan struct{} // closed when there is another line
}

func newRoom() *room { return &room{First: 1, more: make(chan struct{})} }

// say appends a line.
func (r *room) say(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Lines = append(r.Lines, line)
	r.bytes += len(line)
	for r.bytes > keepBytes {
		r.bytes -= len(r.Lines[0])
		r.Lines = r.Lines[1:]
		r.First++
	}
	close(r.more)
	r.more = make(chan struct{})
}

// lastLocked returns the number of the last line that was said.
func (r *room) lastLocked() uint64 { return r.First + uint64(len(r.Lines)) - 1 }

// entrance returns after which line somebody begins to read who enters now.
func (r *room) entrance() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.lastLocked()
	return max(r.First-1, last-min(last, newcomer))
}

// after returns up to limit lines after the one of that number, the number of
// the first, which is a later one if some have been forgotten, and what is
// closed when there are more.
func (r *room) after(seen uint64, limit int) (lines []string, first uint64, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen = min(seen, r.lastLocked()) // less if the process that said it has died without a will
	first = max(seen+1, r.First)
	lines = r.Lines[first-r.First:]
	return lines[:min(len(lines), limit)], first, r.more
}
