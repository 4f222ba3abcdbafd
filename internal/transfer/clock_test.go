package transfer

import (
	"math"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// TestWaitOf reads the clocks of a connection from a message of this version,
// of one from before there were any, and of one that is no good.
func TestWaitOf(t *testing.T) {
	const year = 365 * 24 * time.Hour
	now := time.UnixMilli(1_800_000_000_000)
	tests := map[string]struct {
		sent   time.Duration // before now
		waited []int64
		want   time.Duration
		first  bool
		known  bool
	}{
		"an older version":              {0, nil, 0, false, false},
		"too few":                       {0, []int64{}, 0, false, false},
		"idle":                          {0, []int64{1500}, 1500 * time.Millisecond, false, true},
		"new":                           {0, []int64{-1501}, 1500 * time.Millisecond, true, true},
		"idle, unknown":                 {0, []int64{0}, 0, false, true},
		"new, unknown":                  {0, []int64{-1}, 0, true, true},
		"on the way":                    {time.Minute, []int64{1500}, time.Minute + 1500*time.Millisecond, false, true},
		"the clock was set back":        {-time.Hour, []int64{1500}, 1500 * time.Millisecond, false, true},
		"the clock was set far back":    {-250 * year, []int64{1500}, 1500 * time.Millisecond, false, true},
		"idle for longer than there is": {0, []int64{math.MaxInt64}, year, false, true},
		"new for longer than there is":  {250 * year, []int64{math.MinInt64}, 2 * year, true, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var m handover.Message
			m.Sent, m.Waited = now.Add(-test.sent).UnixMilli(), test.waited
			w := waitOf(m, 0, now)
			waited, first, known := now.Sub(w.Since), w.First, !w.Since.IsZero()
			if known != test.known || known && (waited != test.want || first != test.first) {
				t.Errorf("waited %v, first %v, known %v, want %v, %v, %v", waited, first, known, test.want, test.first, test.known)
			}
		})
	}
}
