package main

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/miekg/dns"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// idle is how long a client may keep a connection and ask nothing, or take to
// read an answer.
const idle = 30 * time.Second

// stream answers the queries of a connection, in their order. When this process
// is replaced it has answered all that it has read but for the beginning of a
// query, which it hands over with the connection: the next generation reads on,
// and the client, who may have sent any number of queries by then, has every
// one answered on the connection that it has.
func (s *server) stream(c *lifecycle.Stream) {
	unanswered := c.State() // what the generation before has read
	buffer := make([]byte, 4096)
	for {
		var err error
		if unanswered, err = s.answerAll(c, unanswered); err != nil {
			return
		}
		if err := c.SetReadDeadline(time.Now().Add(idle)); err != nil {
			return
		}
		n, err := c.Read(buffer)
		unanswered = append(unanswered, buffer[:n]...)
		if errors.Is(err, lifecycle.ErrDraining) {
			_ = c.HandOver(unanswered) // without a successor the service ends, and the connection with it
			return
		}
		if err != nil {
			return // the client has gone, or has been idle for too long
		}
	}
}

// answerAll answers each query that has come as a whole, and returns the rest.
func (s *server) answerAll(c *lifecycle.Stream, received []byte) (rest []byte, err error) {
	for {
		query, rest, whole := cutMessage(received)
		if !whole {
			return append([]byte(nil), received...), nil // so that a long query does not stay in memory
		}
		if err := s.answerOne(c, query); err != nil {
			return nil, err
		}
		received = rest
	}
}

// cutMessage cuts off the first message, before which stands its length (RFC
// 1035, section 4.2.2).
func cutMessage(received []byte) (message, rest []byte, whole bool) {
	if len(received) < 2 {
		return nil, received, false
	}
	end := 2 + int(binary.BigEndian.Uint16(received))
	if len(received) < end {
		return nil, received, false
	}
	return received[2:end], received[end:], true
}

// answerOne answers a query. An error closes the connection.
func (s *server) answerOne(c *lifecycle.Stream, text []byte) error {
	query := new(dns.Msg)
	if err := query.Unpack(text); err != nil {
		return err // what comes next cannot be trusted either
	}
	m := s.answer(query)
	if m == nil {
		return nil
	}
	m.Truncate(dns.MaxMsgSize)
	out, err := m.Pack()
	if err != nil {
		return err
	}
	if err := c.SetWriteDeadline(time.Now().Add(idle)); err != nil {
		return err
	}
	_, err = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
	return err
}
