package conntrack

import (
	"errors"

	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// errNoSink says that nobody is there to take a session.
var errNoSink = errors.New("nobody takes it")

// export ends the use of a session that is at rest, and returns its state. It
// notes that the session stays if it will never move.
func (s *secured) export(e *Endpoint) ([]byte, error) {
	registry := e.Registry
	switch sink := registry.Sink(); {
	case sink == nil || !sink.Serves(e) || sink.IsFull() && registry.IsLate():
		e.StopMoving(Lingering)
		registry.Linger()
		return nil, errNoSink
	case sink.IsFull():
		e.StopMoving(Serving)
		return nil, errNoSink
	}
	state, err := s.Export()
	switch reason := tlsmove.ReasonOf(err); {
	case err != nil && reason != tlsmove.Busy:
		s.stays.Store(true)
		registry.sessions.stay(reason)
	}
	return state, err
}
