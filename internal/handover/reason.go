package handover

import "github.com/heirloom-go/heirloom/internal/printable"

// clipReasons makes what an error said short enough for a packet, in m and in
// its Outcome. The one that the caller has stays as it is.
func clipReasons(m Message) Message {
	m.Reason = printable.Clip(m.Reason, maxReason)
	if m.Outcome != nil && len(m.Outcome.Reason) > maxReason {
		outcome := *m.Outcome
		outcome.Reason = printable.Clip(outcome.Reason, maxReason)
		m.Outcome = &outcome
	}
	return m
}
