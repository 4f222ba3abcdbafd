package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"
)

const (
	lobby    = "lobby" // where everybody begins
	maxRooms = 100
)

// errClosed says that the rooms belong to the next process now. Whatever was to
// be done is left to that.
var errClosed = errors.New("the rooms are closed")

// A hub is all rooms, and who is in them.
//
// For a moment on a reload there are two processes, but a line must have one
// place in its room, seen by all members, wherever they are. So the rooms are
// open in one process at a time. The old one closes its rooms when it starts to
// drain, and sends them to the new one in its will (see will.go). The new one
// opens them when it has read the will. Until then, for a few milliseconds,
// members' input waits in the kernel or in the state of their connections.
type hub struct {
	log    hclog.Logger
	opened chan struct{} // closed when the rooms are open here

	mu     sync.Mutex
	rooms  map[string]*room
	people map[string]*person
	closed bool  // the rooms belong to the next process
	will   *will // for the next process, if that is on its way
}

// A person is somebody in a room.
type person struct {
	Room string
	here bool // in this process; or else about to arrive from the one before
}

// do has change work on the rooms, unless they are closed.
func (h *hub) do(change func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errClosed
	}
	return change()
}

// roomLocked returns the room of that name. A room lasts for ever, with its
// topic.
func (h *hub) roomLocked(name string) (*room, error) {
	r := h.rooms[name]
	switch {
	case r != nil:
		return r, nil
	case len(h.rooms) >= maxRooms:
		return nil, errors.New("there are too many rooms")
	}
	r = newRoom()
	h.rooms[name] = r
	return r, nil
}

// resume has a member go on who was in a room before this process began.
func (h *hub) resume(name, room string) (*room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.roomLocked(room)
	if err == nil {
		h.people[name] = &person{Room: room, here: true}
	}
	return r, err
}

// enter brings somebody new into the lobby, or a member into another room.
func (h *hub) enter(name, from, to string) (r *room, topic string, err error) {
	err = h.do(func() error {
		if h.people[name] != nil && from == "" {
			return fmt.Errorf("there is a %s already", name)
		}
		if r, err = h.roomLocked(to); err != nil {
			return err
		}
		if from != "" {
			h.rooms[from].say(fmt.Sprintf("* %s has gone to %s", name, to))
		}
		r.say(fmt.Sprintf("* %s has come", name))
		h.people[name] = &person{Room: to, here: true}
		topic = r.Topic
		return nil
	})
	return r, topic, err
}

// quit is called for members whose connection has ended.
func (h *hub) quit(name string) error {
	return h.do(func() error {
		if p := h.people[name]; p != nil {
			delete(h.people, name)
			h.rooms[p.Room].say(fmt.Sprintf("* %s has left", name))
		}
		return nil
	})
}

func (h *hub) say(room, line string) error {
	return h.do(func() error {
		h.rooms[room].say(line)
		return nil
	})
}

func (h *hub) setTopic(room, name, topic string) error {
	return h.do(func() error {
		h.rooms[room].Topic = topic
		h.rooms[room].say(fmt.Sprintf("* %s has set the topic: %s", name, topic))
		return nil
	})
}

func (h *hub) topic(room string) (topic string, err error) {
	err = h.do(func() error {
		topic = h.rooms[room].Topic
		return nil
	})
	return topic, err
}

// who returns the names of those in a room, sorted.
func (h *hub) who(room string) (names []string, err error) {
	err = h.do(func() error {
		for name, p := range h.people {
			if p.Room == room {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return nil
	})
	return names, err
}

// list returns a line for each room, with how many are in it, the largest
// first.
func (h *hub) list() (lines []string, err error) {
	err = h.do(func() error {
		count := make(map[string]int, len(h.rooms))
		for name := range h.rooms {
			count[name] = 0
		}
		names := make([]string, 0, len(count))
		for _, p := range h.people {
			count[p.Room]++
		}
		for name := range count {
			names = append(names, name)
		}
		slices.SortFunc(names, func(a, b string) int {
			return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
		})
		for _, name := range names {
			lines = append(lines, fmt.Sprintf("%s (%d) %s", name, count[name], h.rooms[name].Topic))
		}
		return nil
	})
	return lines, err
}
