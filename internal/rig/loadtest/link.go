package loadtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// longestTurn is how many bytes a server may answer to one turn. It keeps a
// server that never stops from filling the memory until the time limit.
const longestTurn = 1 << 16

// link is a connection and what an error on it will have to tell.
type link struct {
	conn      net.Conn
	answers   *bufio.Reader // reads conn through receiver
	dialled   time.Time     // when the dial began
	dialTook  time.Duration // zero once it was charged to an answer
	served    int           // right answers so far
	lastUsed  time.Time     // when a byte was last written or an answer read
	lastWrite time.Time     // just before the latest write
	silent    time.Duration // how long nothing had happened before the first write of the turn
	sent      Transcript
	heard     Transcript
	readErr   error // what conn said when it would read no more
}

func newLink(conn net.Conn, dialTook time.Duration) *link {
	now := time.Now()
	l := &link{conn: conn, dialled: now.Add(-dialTook), dialTook: dialTook, lastUsed: now}
	l.answers = bufio.NewReader(receiver{l})
	return l
}

// beginTurn forgets what earlier turns sent and heard.
func (l *link) beginTurn() {
	l.sent.reset()
	l.heard.reset()
}

func (l *link) write(p []byte, limit time.Duration) error {
	now := time.Now()
	if l.sent.Total == 0 {
		l.silent = now.Sub(l.lastUsed)
	}
	l.lastWrite = now
	if err := l.conn.SetWriteDeadline(now.Add(limit)); err != nil {
		return err
	}
	n, err := l.conn.Write(p)
	l.sent.add(p[:n])
	l.lastUsed = time.Now()
	return err
}

// read reads one response and its whole body within the limit. A response that
// is not HTTP is ErrWrongAnswer, and so is one that is too long; other errors
// are those of the connection.
//
// The body is not closed on an error, for Close would read it to its end; the
// connection is given up then anyway.
func (l *link) read(limit time.Duration) (*http.Response, string, error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return nil, "", err
	}
	response, err := http.ReadResponse(l.answers, nil)
	if err != nil {
		return nil, "", l.explain(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, "", l.explain(err)
	}
	return response, string(body), response.Body.Close()
}

// explain tells an error of the connection from one that net/http found in what
// it read. Where the connection ends within a line, net/http speaks of a
// malformed one; the end is what matters.
func (l *link) explain(err error) error {
	switch {
	case l.readErr == io.EOF:
		return io.ErrUnexpectedEOF
	case l.readErr != nil:
		return l.readErr
	case errors.Is(err, ErrWrongAnswer):
		return err
	}
	return fmt.Errorf("%w: %w", ErrWrongAnswer, err)
}

// sinceWrite is the time since just before the last segment was written.
func (l *link) sinceWrite() time.Duration { return time.Since(l.lastWrite) }

// answered counts a right answer and returns how long it took.
func (l *link) answered() time.Duration {
	took := l.sinceWrite() + l.dialTook
	l.dialTook = 0
	l.served++
	l.lastUsed = time.Now()
	return took
}

func (l *link) state() *ConnState {
	return &ConnState{
		Local:    l.conn.LocalAddr(),
		Remote:   l.conn.RemoteAddr(),
		Age:      time.Since(l.dialled),
		Answered: l.served,
		Silent:   l.silent,
		Sent:     l.sent.clone(),
		Read:     l.heard.clone(),
	}
}

// receiver is the reading side of a link. It writes down what passes.
type receiver struct{ *link }

func (r receiver) Read(p []byte) (int, error) {
	if r.heard.Total > longestTurn {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrWrongAnswer, longestTurn)
	}
	n, err := r.conn.Read(p)
	r.heard.add(p[:n])
	if err != nil {
		r.readErr = err
	}
	return n, err
}
