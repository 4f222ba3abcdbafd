package lifecycle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// chatPatience is with a member who does not read.
const chatPatience = 5 * time.Minute

// chat is a chat server that is replaced without a member noticing. The first
// line of a client says "ROOM NAME"; each further line goes to all members of
// the room, in one order, as "NUMBER NAME: LINE".
//
// For that, a room must not be in two processes at once. When its members are
// to leave, each stops to read; when the last has stopped, every line that was
// read has been written to everybody, and the members are handed over together.
// The next process lets nobody speak in the room until all of them have
// arrived.
func chat(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	killAtStep(service)
	network, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	listener, err := service.Listen("chat", network, address)
	if err != nil {
		return err
	}
	h := &hub{generation: service.Generation(), rooms: make(map[string]*room)}
	if options.MoveTLS {
		err = service.ServeStreamsTLS(listener, selfSigned(), h.serve)
	} else {
		err = service.ServeStreams(listener, h.serve)
	}
	if err != nil {
		return err
	}
	return service.Run(context.Background())
}

// A hub is all rooms of this process.
type hub struct {
	generation int

	mu    sync.Mutex
	rooms map[string]*room
}

func (h *hub) room(name string) *room {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[name]
	if r == nil {
		r = &room{
			generation: h.generation,
			members:    make(map[*member]struct{}),
			awaited:    make(map[party]int),
			moved:      make(chan struct{}),
		}
		h.rooms[name] = r
	}
	return r
}

// A party is the members who left a room together. No two of a room are of one
// generation. Those who joined here are of the zero party.
type party struct{ Generation, Size int }

// A note is what the next process has to know of a member.
type note struct {
	Room, Name string // empty until the client has said them
	Party      party
	Number     int    // of the last line in the room
	Unread     []byte // sent by the client, and not yet heeded
}

type member struct {
	*lifecycle.Stream
	note
	room *room // nil while in none
}

// serve is the life of a connection in this process.
func (h *hub) serve(conn *lifecycle.Stream) {
	m := &member{Stream: conn}
	if state := conn.State(); state != nil {
		if err := json.Unmarshal(state, &m.note); err != nil {
			fmt.Fprintln(os.Stderr, "chat:", err)
			return
		}
	}
	var err error
	if m.Room != "" {
		err = h.room(m.Room).enter(m)
	}
	for err == nil {
		err = m.heed(h)
	}
	switch {
	case errors.Is(err, lifecycle.ErrDraining) && m.room != nil:
		m.room.leave(m)
	case errors.Is(err, lifecycle.ErrDraining):
		m.handOver()
	case m.room != nil:
		m.room.quit(m)
	}
}

// heed reads a line and does what it says.
func (m *member) heed(h *hub) error {
	line, err := m.readLine()
	if err != nil {
		return err
	}
	if m.room != nil {
		err = m.room.say(m, line)
	} else {
		err = m.join(h, line)
	}
	if err == nil {
		m.Unread = m.Unread[len(line)+1:]
	}
	return err
}

// join does what the first line says. If the room has just left this process,
// the next one is to read the line again.
func (m *member) join(h *hub, line string) error {
	m.Room, m.Name, _ = strings.Cut(line, " ")
	err := h.room(m.Room).enter(m)
	if err != nil {
		m.Room, m.Name = "", ""
		return err
	}
	m.tell("* welcome\n")
	return nil
}

// readLine returns the next line, and leaves it in Unread until it has been
// heeded.
func (m *member) readLine() (string, error) {
	for {
		if end := bytes.IndexByte(m.Unread, '\n'); end >= 0 {
			return string(m.Unread[:end]), nil
		}
		var buffer [1024]byte
		n, err := m.Read(buffer[:])
		m.Unread = append(m.Unread, buffer[:n]...)
		if len(m.Unread) > 4*len(buffer) {
			err = errors.New("line too long")
		}
		if err != nil {
			return "", err
		}
	}
}

// tell writes to the member. One who does not read is closed: that ends its
// Read as well.
func (m *member) tell(text string) {
	_ = m.SetWriteDeadline(time.Now().Add(chatPatience))
	if _, err := m.Write([]byte(text)); err != nil {
		_ = m.Close()
	}
}

func (m *member) handOver() {
	state, err := json.Marshal(m.note)
	if err == nil {
		err = m.HandOver(state)
	}
	if err != nil {
		m.tell(fmt.Sprintf("* goodbye: %v\n", err))
	}
}

// A room is the members that are in this process.
type room struct {
	generation int

	mu       sync.Mutex
	members  map[*member]struct{}
	number   int           // of the last line
	awaited  map[party]int // how many of each are still to arrive
	missing  int           // the sum of these
	complete chan struct{} // closed when it comes down to 0
	stopped  int           // members who do not read any more
	gone     bool
	moved    chan struct{} // closed once all members are handed over
}

// enter has m become a member, unless the room has left this process. If m is
// the first of a party, the room waits for the others from then on.
func (r *room) enter(m *member) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return lifecycle.ErrDraining
	}
	p := m.Party
	if _, known := r.awaited[p]; !known {
		if r.missing == 0 {
			r.complete = make(chan struct{})
		}
		r.awaited[p] = p.Size
		r.missing += p.Size
		// Members whose process was killed on the way are not awaited for ever.
		time.AfterFunc(5*time.Minute, func() { r.found(p, p.Size) })
	}
	r.foundLocked(p, 1)
	m.room, r.number = r, max(r.number, m.Number)
	r.members[m] = struct{}{}
	return nil
}

func (r *room) found(p party, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.foundLocked(p, n)
}

func (r *room) foundLocked(p party, n int) {
	n = min(n, r.awaited[p])
	r.awaited[p] -= n
	r.missing -= n
	if n > 0 && r.missing == 0 {
		close(r.complete)
	}
}

// say gives a line of m to everybody, once everybody is there.
func (r *room) say(m *member, line string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.missing > 0 {
		complete := r.complete
		r.mu.Unlock()
		var err error
		select {
		case <-complete:
		case <-m.Draining():
			err = lifecycle.ErrDraining
		}
		r.mu.Lock()
		if err != nil {
			return err
		}
	}
	r.number++
	text := fmt.Sprintf("%d %s: %s\n", r.number, m.Name, line)
	for other := range r.members {
		other.tell(text)
	}
	return nil
}

// leave returns when m has been handed over, together with all the others.
func (r *room) leave(m *member) {
	r.mu.Lock()
	r.stopped++
	r.moveLocked()
	r.mu.Unlock()
	<-r.moved
}

func (r *room) quit(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, m)
	r.moveLocked()
}

// moveLocked hands all members over when they have all stopped to read. Those
// whose party is not complete here stay with it; the others are a new one.
func (r *room) moveLocked() {
	if r.stopped == 0 || r.stopped < len(r.members) {
		return
	}
	r.gone = true
	together := party{Generation: r.generation}
	for m := range r.members {
		if r.awaited[m.Party] == 0 {
			together.Size++
		}
	}
	for m := range r.members {
		m.Number = r.number
		if r.awaited[m.Party] == 0 {
			m.Party = together
		}
		m.handOver()
	}
	close(r.moved)
}
