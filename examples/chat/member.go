package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/lifecycle"
)

const (
	maxLine  = 1 << 10          // bytes
	patience = 10 * time.Second // with a member who does not read
	batch    = 64               // lines that are written at once
)

// A note is what the next process has to know of a member; what it has to know
// of the rooms is in the will.
type note struct {
	Name, Room string // empty until the member has said who it is
	Seen       uint64 // the number of the last line of Room that was written to the member
	Unread     []byte // came from the member and is not heeded yet: the half of a line, or lines when the rooms were closed
}

// A member is a connection. One goroutine reads it and heeds what comes, and
// one follows the room.
type member struct {
	*lifecycle.Stream
	note
	hub *hub

	leave     chan struct{} // closed to end the one that follows the room, nil if there is none
	following sync.WaitGroup
}

// serve is the life of a connection in this process, from Accept or from the
// process before.
func (h *hub) serve(conn *lifecycle.Stream) {
	m := &member{Stream: conn, hub: h}
	if err := m.begin(); err != nil {
		h.log.Error("cannot go on with a connection", "from", conn.RemoteAddr(), "error", err)
		return
	}
	err := m.awaitRooms()
	for err == nil {
		err = m.heed()
	}
	m.unfollow()
	if errors.Is(err, lifecycle.ErrDraining) || errors.Is(err, errClosed) {
		m.moveOn()
		return
	}
	if m.Name == "" {
		return
	}
	if err := h.quit(m.Name); err != nil {
		h.log.Debug("the next process will find out that a member has gone", "name", m.Name)
	}
}

func (m *member) begin() error {
	state := m.State()
	if state == nil {
		m.tell("* Welcome. What is your name?\n")
		return nil
	}
	return json.Unmarshal(state, &m.note)
}

// awaitRooms waits until the rooms are open in this process, and brings the
// member back into theirs.
func (m *member) awaitRooms() error {
	select {
	case <-m.hub.opened:
	case <-m.Draining():
		return lifecycle.ErrDraining
	}
	if m.Room == "" {
		return nil
	}
	room, err := m.hub.resume(m.Name, m.Room)
	if err == nil {
		m.follow(room)
	}
	return err
}

// moveOn gives the connection to the next process, or says goodbye.
func (m *member) moveOn() {
	<-m.Draining() // the rooms may have been closed a moment before
	state, err := json.Marshal(m.note)
	if err == nil {
		err = m.HandOver(state)
	}
	switch {
	case err == nil, errors.Is(err, net.ErrClosed):
	case errors.Is(err, lifecycle.ErrNoSuccessor):
		m.tell("* The server stops. Goodbye.\n")
	default:
		m.hub.log.Error("cannot hand over a connection", "name", m.Name, "error", err)
	}
}

// heed reads a line and does what it says. Only then it is taken from Unread.
func (m *member) heed() error {
	line, err := m.readLine()
	if err != nil {
		return err
	}
	if err := m.obey(clean(line)); err != nil {
		return err
	}
	m.Unread = m.Unread[len(line)+1:]
	return nil
}

// readLine returns the first line of Unread.
func (m *member) readLine() (string, error) {
	for {
		if line, _, whole := bytes.Cut(m.Unread, []byte{'\n'}); whole {
			return string(line), nil
		}
		if len(m.Unread) > maxLine {
			m.tell("* That line is too long. Goodbye.\n")
			return "", errors.New("line too long")
		}
		var buffer [maxLine]byte
		n, err := m.Read(buffer[:])
		m.Unread = append(m.Unread, buffer[:n]...)
		if n == 0 && err != nil {
			return "", err
		}
	}
}

// clean makes text of a line that no terminal takes for more than text.
func clean(line string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, strings.ToValidUTF8(line, "?")))
}

// tell writes to the member. One who does not read is closed, which ends the
// reading as well.
func (m *member) tell(text string) {
	_ = m.SetWriteDeadline(time.Now().Add(patience)) // fails only if the connection is closed, as Write does then
	if _, err := m.Write([]byte(text)); err != nil {
		_ = m.Close()
	}
}

// follow begins to write the lines of a room to the member: those after m.Seen.
func (m *member) follow(r *room) {
	leave := make(chan struct{})
	m.leave = leave
	m.following.Go(func() {
		for {
			lines, first, more := r.after(m.Seen, batch)
			if first > m.Seen+1 {
				m.tell(fmt.Sprintf("* You read too slowly: %d lines are lost.\n", first-m.Seen-1))
			}
			m.Seen = first - 1 + uint64(len(lines))
			if len(lines) > 0 {
				m.tell(strings.Join(lines, "\n") + "\n")
				more = nil // there may be more now
			}
			if !wait(more, leave) {
				return
			}
		}
	})
}

// wait waits for more, unless that is nil, and returns false if the member
// leaves.
func wait(more, leave <-chan struct{}) bool {
	if more == nil {
		select {
		case <-leave:
			return false
		default:
			return true
		}
	}
	select {
	case <-leave:
		return false
	case <-more:
		return true
	}
}

// unfollow ends that. Seen may be read then.
func (m *member) unfollow() {
	if m.leave != nil {
		close(m.leave)
		m.following.Wait()
		m.leave = nil
	}
}
