package conntrack

import (
	"sync/atomic"
	"time"
)

// epoch is when this process began, more or less.
var epoch = time.Now()

// A moment is a time, by the monotonic clock, that one goroutine may set while
// others read it. The zero value is the zero time.
type moment struct{ sinceEpoch atomic.Int64 }

func (m *moment) set(t time.Time) {
	if t.IsZero() {
		m.sinceEpoch.Store(0)
		return
	}
	m.sinceEpoch.Store(int64(t.Sub(epoch)))
}

func (m *moment) time() time.Time {
	if d := m.sinceEpoch.Load(); d != 0 {
		return epoch.Add(time.Duration(d))
	}
	return time.Time{}
}
