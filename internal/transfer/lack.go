package transfer

import "time"

// Delays between two attempts to send what there was no room for.
const (
	minLackDelay = 10 * time.Millisecond
	maxLackDelay = time.Second
)

// A lack is a shortage of descriptors or memory that keeps connections from
// moving for a while. Its owner guards it. The zero value is none.
type lack struct {
	since time.Time // zero if there is none
	delay time.Duration
	timer *time.Timer // not nil while trying is of no use

	told, endTold bool
}

// begins has again called when it is time to try again. It reports whether this
// is the first shortage, which the owner logs.
func (l *lack) begins(again func()) bool {
	if l.since.IsZero() {
		l.since = time.Now()
	}
	l.delay = min(max(2*l.delay, minLackDelay), maxLackDelay)
	l.over()
	l.timer = time.AfterFunc(l.delay, again)
	first := !l.told
	l.told = true
	return first
}

// lasts returns for how long there has been a shortage.
func (l *lack) lasts() time.Duration {
	if l.since.IsZero() {
		return 0
	}
	return time.Since(l.since)
}

// waits reports whether trying is of no use yet.
func (l *lack) waits() bool { return l.timer != nil }

// over lets the owner try at once: perhaps there is room now.
func (l *lack) over() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// ends notes that sending worked. It reports whether the owner logs that.
func (l *lack) ends() bool {
	first := l.told && !l.endTold
	l.endTold = l.endTold || first
	l.since, l.delay = time.Time{}, 0
	return first
}

// wait waits a while, for an owner that has no timer of its own. It returns
// false if over is closed, from when on there is nothing to wait for.
func (l *lack) wait(over <-chan struct{}) bool {
	l.begins(func() {})
	l.over()
	select {
	case <-over:
		return false
	case <-time.After(l.delay):
		return true
	}
}
