package loadtest

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// ErrWrongAnswer is wrapped by the errors of requests that were answered, but
// not as they had to be: not HTTP, another status, another body, bytes beyond
// the answer, or an answer too early to be true.
var ErrWrongAnswer = errors.New("wrong answer")

// ErrUnanswered is wrapped by the errors of requests that were already sent, in
// part or whole, when an answer to an earlier one announced the close of the
// connection.
var ErrUnanswered = errors.New("close announced with requests unanswered")

// BrokenError tells what is known of a turn that went wrong. Unwrap gives the
// reason: ErrWrongAnswer, ErrUnanswered, ErrUnknownClass, or what the
// connection said, such as io.ErrUnexpectedEOF when it ended before or within
// the answer, os.ErrDeadlineExceeded when the answer took too long,
// context.DeadlineExceeded or an error of Dial when there was no connection to
// be had.
type BrokenError struct {
	// Class and Client say who asked. The clients of each class are numbered
	// from 0.
	Class  Class
	Client int
	// After is the time from Start until the error.
	After time.Duration
	// Unanswered is how many requests of the turn are broken. Those before them
	// got the right answer.
	Unanswered int
	// LastGeneration is the generation that gave this client its last right
	// answer, on any connection; 0 if none did.
	LastGeneration int
	// Conn describes the connection; nil if there was none.
	Conn *ConnState
	// Err is the reason.
	Err error
}

// ConnState describes a connection at the moment a request on it broke.
type ConnState struct {
	// Local and Remote are the addresses of its ends.
	Local, Remote net.Addr
	// Age is how long ago its dial began.
	Age time.Duration
	// Answered is how many right answers it had carried.
	Answered int
	// Silent is how long nothing had been sent or read on it when the turn sent
	// its first byte.
	Silent time.Duration
	// Sent and Read are the bytes of this turn.
	Sent, Read Transcript
}

// Transcript is the beginning of what went one way over a connection.
type Transcript struct {
	// Begin is the first bytes.
	Begin []byte
	// Total is how many bytes there were in all.
	Total int
	// Pieces are the sizes of the first writes or reads, in bytes.
	Pieces []int
}

// Unwrap returns e.Err.
func (e *BrokenError) Unwrap() error { return e.Err }

// Error is several lines long: the reason first, then the connection, then what
// was sent and read.
func (e *BrokenError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s client %d, %v after the start, %d broken: %v", e.Class, e.Client,
		e.After.Round(time.Millisecond), e.Unanswered, e.Err)
	fmt.Fprintf(&b, "\n  last answered by generation %d", e.LastGeneration)
	if c := e.Conn; c != nil {
		fmt.Fprintf(&b, "; connection %v to %v, dialled %v ago, %d answered, silent for %v before this turn",
			c.Local, c.Remote, threeDigits(c.Age), c.Answered, threeDigits(c.Silent))
		fmt.Fprintf(&b, "\n  sent %s\n  read %s", c.Sent.text(shownSent), c.Read)
	}
	return b.String()
}

// String names the size, the pieces and the beginning.
func (t Transcript) String() string { return t.text(keptBytes) }

// text shows no more than so many bytes.
func (t Transcript) text(most int) string {
	if t.Total == 0 {
		return "nothing"
	}
	shown, more := t.Begin[:min(len(t.Begin), most)], ""
	if t.Total > len(shown) {
		more = " and so on"
	}
	pieces := strings.Trim(fmt.Sprint(t.Pieces), "[]")
	if len(t.Pieces) == keptPieces {
		pieces += " …"
	}
	return fmt.Sprintf("%d bytes (in pieces of %s): %q%s", t.Total, pieces, shown, more)
}

const (
	keptBytes  = 1024 // the most a transcript keeps: five pipelined answers fit
	keptPieces = 16
	shownSent  = 300 // the most of what was sent that an error shows: bodies tell little
)

func (t *Transcript) add(p []byte) {
	t.Total += len(p)
	t.Begin = append(t.Begin, p[:min(len(p), keptBytes-len(t.Begin))]...)
	if len(p) > 0 && len(t.Pieces) < keptPieces {
		t.Pieces = append(t.Pieces, len(p))
	}
}

// reset forgets everything but the memory it took.
func (t *Transcript) reset() {
	t.Total, t.Begin, t.Pieces = 0, t.Begin[:0], t.Pieces[:0]
}

// clone is a copy that later calls of add and reset do not touch.
func (t *Transcript) clone() Transcript {
	return Transcript{Begin: append([]byte(nil), t.Begin...), Total: t.Total, Pieces: append([]int(nil), t.Pieces...)}
}
