package conntrack

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// Sessions counts how the moves ended of the connections of TLS of all servers
// whose sessions may move.
type Sessions struct {
	Arrived uint64            // from another process
	Left    uint64            // for another process
	Lost    uint64            // those that left and were closed: nobody took them
	Stayed  map[string]uint64 // why others cannot move, or were refused when they arrived, by tlsmove.Reason
}

// sessionCounts are those of a Registry.
type sessionCounts struct {
	arrived, left, lost atomic.Uint64
	stayed              [tlsmove.Reasons]atomic.Uint64
}

func (s *sessionCounts) stay(reason tlsmove.Reason) { s.stayed[reason].Add(1) }

// SessionArrived counts a session that came from another process, to a server
// of SecureStreams.
func (r *Registry) SessionArrived() { r.sessions.arrived.Add(1) }

// SessionStays counts a session there that cannot move, or did not arrive. err
// is an error of package tlsmove.
func (r *Registry) SessionStays(err error) { r.sessions.stay(tlsmove.ReasonOf(err)) }

// all returns the counts of this moment.
func (s *sessionCounts) all() Sessions {
	counts := Sessions{Arrived: s.arrived.Load(), Left: s.left.Load(), Lost: s.lost.Load(), Stayed: make(map[string]uint64)}
	for reason := range s.stayed {
		if n := s.stayed[reason].Load(); n > 0 {
			counts.Stayed[tlsmove.Reason(reason).String()] = n
		}
	}
	return counts
}

// String says what moved and what did not, for people.
func (s Sessions) String() string {
	text := fmt.Sprintf("%d moved here, %d moved on", s.Arrived, s.Left)
	if s.Lost > 0 {
		text += fmt.Sprintf(", %d lost", s.Lost)
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Stayed)) {
		text += fmt.Sprintf(", %d cannot (%s)", s.Stayed[reason], reason)
	}
	return text
}
