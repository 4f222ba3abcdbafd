package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A sleeper is a request to the drainer, on a connection of its own, that takes
// as long as it says.
type sleeper struct {
	generation int // that has it
	id         string
	d          time.Duration
	how        string // see the drainer's handler
	conn       net.Conn
	asked      time.Time // when it was about to be sent
	begun      time.Time // when it was known that its handler runs
	ended      time.Time
	err        error // nil if it was answered, and rightly
	done       chan struct{}
}

// sleep sends a request over conn, which it owns, and returns when the handler
// has begun.
func sleep(conn net.Conn, generation int, id, how string, d time.Duration) (*sleeper, error) {
	s := &sleeper{generation: generation, id: id, d: d, how: how, conn: conn, asked: time.Now(), done: make(chan struct{})}
	_ = conn.SetDeadline(patience.Deadline(callerLimit))
	r := bufio.NewReader(conn)
	if _, err := fmt.Fprintf(conn, "GET /sleep?id=%s&d=%s&how=%s HTTP/1.1\r\nHost: test\r\n\r\n", id, d, how); err != nil {
		_ = conn.Close()
		return nil, err
	}
	hints, err := http.ReadResponse(r, nil)
	if err != nil || hints.StatusCode != http.StatusEarlyHints {
		_ = conn.Close()
		return nil, fmt.Errorf("request %s did not begin: %v, %w", id, hints, err)
	}
	s.begun = time.Now()
	go s.receive(r)
	return s, nil
}

func (s *sleeper) receive(r *bufio.Reader) {
	defer close(s.done)
	defer s.conn.Close()
	s.err = s.readAnswer(r)
	s.ended = time.Now()
}

func (s *sleeper) readAnswer(r *bufio.Reader) error {
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	want := fmt.Sprintf("generation %d has slept %s for %s\n", s.generation, s.d, s.id)
	if response.StatusCode != http.StatusOK || string(body) != want {
		return fmt.Errorf("%w: %s, %q", errWrongAnswer, response.Status, body)
	}
	return nil
}

// errWrongAnswer is matched by the error of a sleeper that was given what looks
// like an answer and is not the right one.
var errWrongAnswer = errors.New("a wrong answer")

// brokenOff reports whether the connection was closed before there was a whole
// answer, and the client knows.
func (s *sleeper) brokenOff() bool {
	return errors.Is(s.err, io.EOF) || errors.Is(s.err, io.ErrUnexpectedEOF) || errors.Is(s.err, syscall.ECONNRESET)
}

func (s *sleeper) String() string {
	return fmt.Sprintf("request %s (%v %s of generation %d)", s.id, s.d, s.how, s.generation)
}
