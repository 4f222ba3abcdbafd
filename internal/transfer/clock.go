package transfer

import (
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// addWait notes in m for how long its next connection has waited. If that is
// not known, it counts from when m is sent.
func addWait(m *handover.Message, c conntrack.Conn) {
	w, ok := conntrack.WaitOf(c)
	if !ok {
		return
	}
	now := time.Now()
	if m.Waited == nil {
		m.Sent = now.UnixMilli()
	}
	waited := int64(0)
	if !w.Since.IsZero() {
		waited = max(now.Sub(w.Since).Milliseconds(), 0)
	}
	if w.First {
		waited = -1 - waited
	}
	m.Waited = append(m.Waited, waited)
}

// waitOf returns the wait of connection i of m. A system clock that was set
// back since m was sent does not make it longer, and one that was set forward
// does.
func waitOf(m handover.Message, i int, now time.Time) conntrack.Wait {
	if i >= len(m.Waited) {
		return conntrack.Wait{}
	}
	w, waited := conntrack.Wait{}, m.Waited[i]
	if waited < 0 {
		w.First, waited = true, -1-waited
	}
	onTheWay := now.Sub(time.UnixMilli(m.Sent))
	w.Since = now.Add(-clampWait(onTheWay) - clampWait(time.Duration(min(waited, maxWait.Milliseconds()))*time.Millisecond))
	return w
}

// maxWait keeps sums of times from overflowing.
const maxWait = 365 * 24 * time.Hour

func clampWait(d time.Duration) time.Duration { return min(max(d, 0), maxWait) }
