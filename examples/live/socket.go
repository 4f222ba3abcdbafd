package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/heirloom-go/heirloom/lifecycle"
)

const (
	patience = 10 * time.Second      // with a page that does not read
	pace     = 50 * time.Millisecond // from one update of a page to the next, at least
)

// A note is what the next process has to know of a WebSocket.
type note struct {
	Number uint64 // of the last update that was sent
	Unread []byte // came from the page and is not heeded yet: a part of a frame
}

// A socket is the WebSocket of a page. One goroutine reads the votes, and one
// writes updates.
type socket struct {
	*lifecycle.Stream
	note
	poll *poll
}

// An update is what the page is told.
type update struct {
	Number     uint64 `json:"number"` // of those over this WebSocket: 1, 2, 3 and so on, through all generations
	Votes      []int  `json:"votes"`
	Generation int    `json:"generation"`
	Version    string `json:"version"`
}

// serve is the life of a WebSocket in this process: from its handshake, or from
// the process before.
func (p *poll) serve(conn *lifecycle.Stream) {
	s := &socket{Stream: conn, poll: p}
	if state := conn.State(); state != nil {
		if err := json.Unmarshal(state, &s.note); err != nil {
			p.log.Error("cannot go on with a WebSocket", "from", conn.RemoteAddr(), "error", err)
			return
		}
	}
	if err := p.box.count(); err != nil { // what was voted in the process before
		p.log.Error("cannot count the votes", "error", err)
	}
	leave := make(chan struct{})
	var updating sync.WaitGroup
	updating.Go(func() { s.update(leave) })
	err := s.listen()
	close(leave)
	updating.Wait()
	switch {
	case errors.Is(err, lifecycle.ErrDraining):
		s.moveOn()
	case errors.Is(err, errNotUnderstood):
		s.send(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusUnsupportedData, err.Error())))
	case errors.Is(err, errBox):
		p.log.Error("cannot take a vote", "error", err)
		s.send(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusInternalServerError, "")))
	}
}

// moveOn gives the connection to the next process, or says goodbye: the page
// will come back.
func (s *socket) moveOn() {
	state, err := json.Marshal(s.note)
	if err == nil {
		err = s.HandOver(state)
	}
	switch {
	case err == nil, errors.Is(err, net.ErrClosed):
	case errors.Is(err, lifecycle.ErrNoSuccessor), errors.Is(err, errors.ErrUnsupported): // such as TLS 1.2
		s.send(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusGoingAway, "")))
	default:
		s.poll.log.Error("cannot hand over a WebSocket", "from", s.RemoteAddr(), "error", err)
	}
}

var errBox = errors.New("the votes cannot be written")

// listen reads frames and does what they say. Only then each is taken from
// Unread.
func (s *socket) listen() error {
	for {
		frame, size, err := nextFrame(s.Unread)
		switch {
		case err != nil:
			return err
		case size > 0:
			if err := s.heed(frame); err != nil {
				return err
			}
			s.Unread = s.Unread[size:]
			continue
		}
		var buffer [512]byte
		n, err := s.Read(buffer[:])
		s.Unread = append(s.Unread, buffer[:n]...)
		if n == 0 && err != nil {
			return err
		}
	}
}

// heed does what a frame says. A page votes by the number of a choice.
func (s *socket) heed(frame ws.Frame) error {
	switch frame.Header.OpCode {
	case ws.OpText:
		choice, err := strconv.Atoi(string(frame.Payload))
		if err != nil {
			return errNotUnderstood
		}
		if err := s.poll.box.cast(choice); err != nil {
			return errors.Join(errBox, err)
		}
	case ws.OpPing:
		s.send(ws.NewPongFrame(frame.Payload))
	case ws.OpClose:
		s.send(frame)
		return io.EOF
	}
	return nil
}

// update tells the page the votes, and again when there are more, until leave
// is closed.
func (s *socket) update(leave <-chan struct{}) {
	for {
		votes, changed := s.poll.box.result()
		s.Number++
		message, err := json.Marshal(update{s.Number, votes, s.poll.service.Generation(), version})
		if err != nil {
			s.poll.log.Error("cannot tell the votes", "error", err)
			return
		}
		s.send(ws.NewTextFrame(message))
		select {
		case <-leave:
			return
		case <-time.After(pace):
		}
		select {
		case <-leave:
			return
		case <-changed:
		}
	}
}

// send writes a frame whole, so that two goroutines may. A page that does not
// read is closed, which ends listen as well.
func (s *socket) send(frame ws.Frame) {
	data, err := ws.CompileFrame(frame)
	if err == nil {
		_ = s.SetWriteDeadline(time.Now().Add(patience)) // fails only if the connection is closed, as Write does then
		_, err = s.Write(data)
	}
	if err != nil {
		_ = s.Close()
	}
}
