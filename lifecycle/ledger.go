package lifecycle

import (
	"errors"
	"fmt"
	"strings"
)

// The reasons why connections do not outlive a crash of this process, beside
// those that say what went wrong.
var (
	errNoLedger  = errors.New("WithoutLedger was called")
	errNoManager = errors.New("no service manager")
	errLeaving   = errors.New("connections leave this process")
	errOrphan    = errors.New("the predecessor died while it handed over")
	errNoHTTP    = errors.New("the service has no plain HTTP/1.1 over TCP whose connections move")
)

// WithoutLedger has a crash of the process close every connection, as it does
// with net/http alone. Otherwise those that are at rest go on in the next
// process, if systemd starts one and the unit has a file descriptor store: plain
// HTTP/1.1 connections of TCP that can move. A request that was under way is
// lost, and its connection closed. docs/internals.md says how that is done and
// what it costs.
//
// Call it for a daemon that is better served by clients that notice a crash. The
// error matches ErrRunning after Run was called.
func (s *Service) WithoutLedger() error {
	if err := s.registered.lock("without a ledger"); err != nil {
		return err
	}
	defer s.registered.mu.Unlock()
	s.registered.noLedger = true
	return nil
}

// AnswerLostRequests has the requests that a crash of this process breaks
// answered by the next one, with 500 Internal Server Error and Connection: close.
// Otherwise their connections are closed without an answer. It holds for the
// connections that would outlive a crash when they are at rest, see
// WithoutLedger, if something of a request was read, be it a part, and nothing
// of a response was written, not even 100 Continue. A request is answered if
// both processes have called this method.
//
// It is off by default, since nobody knows what has become of the request. A
// POST may have been carried out, and its response may have waited in net/http's
// buffer when the process died. A client that sends it again after the 500 has
// it carried out twice. When a connection ends without a response, clients and
// proxies know that they cannot know, and send a request again by themselves
// only if it is idempotent (RFC 9110, 9.2.2). With a 500 they do not, so the
// user sees the crash.
//
// Call it for a daemon whose clients handle a 500 better than a connection that
// ends. The error matches ErrRunning after Run was called.
func (s *Service) AnswerLostRequests() error {
	if err := s.registered.lock("answer lost requests"); err != nil {
		return err
	}
	defer s.registered.mu.Unlock()
	s.registered.answersLost = true
	return nil
}

// A Ledger tells which connections would outlive a crash of this process, and
// which have outlived that of the process before.
type Ledger struct {
	// Kept are the connections that the next process goes on with if this one
	// is killed while they are at rest.
	Kept int `json:"kept"`
	// Refused are those that cannot be kept: there was no room for them, or
	// they are of Multipath TCP.
	Refused uint64 `json:"refused,omitempty"`
	// Adopted are those of a process that crashed, which this one has taken
	// over, Cut those that it closed since a request had begun, and Lost those
	// that nothing here serves.
	Adopted int `json:"adopted,omitempty"`
	Cut     int `json:"cut,omitempty"`
	Lost    int `json:"lost,omitempty"`
	// Answered are those of Cut whose clients got a response of 500 before: see
	// Service.AnswerLostRequests.
	Answered int `json:"answered,omitempty"`
	// Off says why nothing is kept: "" if it is.
	Off string `json:"off,omitempty"`
}

// String says what is kept, for people.
func (l *Ledger) String() string {
	parts := []string{fmt.Sprintf("connections that would outlive a crash: %d", l.Kept)}
	if l.Off != "" {
		parts[0] += ": " + l.Off
	}
	for _, count := range []struct {
		n    uint64
		what string
	}{
		{l.Refused, "that would not"},
		{uint64(l.Adopted), "that outlived the last one"},
		{uint64(l.Cut), "cut by it"},
		{uint64(l.Answered), "of these answered with 500"},
		{uint64(l.Lost), "lost by it"},
	} {
		if count.n > 0 {
			parts = append(parts, fmt.Sprintf("%s: %d", count.what, count.n))
		}
	}
	return strings.Join(parts, ", ")
}
