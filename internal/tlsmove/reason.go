package tlsmove

import (
	"errors"
	"fmt"
)

// ErrMoved is returned by all that would use a connection after its Export.
var ErrMoved = errors.New("tlsmove: the connection was moved")

// A Reason says why a connection does not move, for people and for metrics.
type Reason int

// The reasons of Export, those of Adopt, and two of who uses this package.
const (
	Movable       Reason = iota // there is none
	OldVersion                  // older than TLS 1.3
	HTTP2                       // a protocol that a server keeps more state of
	FIPS                        // secrets must not leave the module
	Suite                       // one that is not known
	Unrehearsed                 // crypto/tls behaves differently: see Rehearse
	Unproven                    // the records do not say under which number the next one is
	Busy                        // not at rest: asking again may do
	Ended                       // an alert was sent or received
	TooLarge                    // certificates, mostly
	Malformed                   // not a state
	OtherFormat                 // a state of another release: see Format
	Refused                     // this configuration would not accept the session
	Wrapped                     // the program's wrapper of the connection does not let it go
	OtherProtocol               // one that the user of this package does not know
)

var reasons = [...]string{
	"movable", "old_version", "http2", "fips", "suite", "unrehearsed", "unproven", "busy", "ended", "too_large", "malformed", "format", "refused", "wrapped",
	"protocol",
}

// Reasons is how many there are.
const Reasons = len(reasons)

// String returns a word for a label.
func (r Reason) String() string {
	if r < 0 || int(r) >= len(reasons) {
		return fmt.Sprintf("reason(%d)", int(r))
	}
	return reasons[r]
}

// A Refusal is the error of a connection that does not move.
type Refusal struct {
	Reason Reason
	Err    error // may be nil
}

func (r *Refusal) Error() string {
	if r.Err == nil {
		return "tlsmove: " + r.Reason.String()
	}
	return fmt.Sprintf("tlsmove: %s: %v", r.Reason, r.Err)
}

// Unwrap returns Err.
func (r *Refusal) Unwrap() error { return r.Err }

// ReasonOf returns the Reason of an error of this package.
func ReasonOf(err error) Reason {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	if errors.Is(err, ErrMoved) {
		return Ended
	}
	return Movable
}

func refuse(reason Reason, err error) error { return &Refusal{reason, err} }

func refuseProof(err error) error {
	switch {
	case errors.Is(err, errUnframed):
		return refuse(Busy, err)
	case errors.Is(err, errEnded):
		return refuse(Ended, err)
	case errors.Is(err, errSuite):
		return refuse(Suite, err)
	default:
		return refuse(Unproven, err)
	}
}
