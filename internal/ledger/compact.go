package ledger

import "time"

const (
	// spareMessages is how many messages there may be that are not full. Each
	// takes a kilobyte of the socket's room.
	spareMessages = 64
	// atOnce is how many messages a step of the compaction passes, for which
	// Close waits.
	atOnce = 8
	// between is how long others may have the lock between two steps.
	between = time.Millisecond
	// tidyAfter is how long a dead entry may be in the queue. Until then the
	// kernel has what its client had sent and nobody has read.
	tidyAfter = 10 * time.Second
)

// slack is how many entries of the queue may be dead in any case. They count
// against RLIMIT_NOFILE: see maxQueued.
func (l *Ledger) slack() int {
	if l.limit > 0 {
		return min(l.limit/8, maxBatch)
	}
	return maxBatch
}

// isStale reports whether there is more in the queue than is worth it. Each
// connection that enters or ends pays for a share of the compaction that it
// leads to.
func (l *Ledger) isStale() bool {
	dead, allowed := l.total-l.live, l.slack()
	if allowed == maxBatch {
		allowed += l.live
	}
	return dead > allowed || len(l.messages) > l.growth
}

// compactSoon has the queue compacted if need be: at once, or some time later if
// little in it is dead.
func (l *Ledger) compactSoon() {
	switch {
	case l.toPass > 0 || l.adopting || l.passing:
	case l.isStale():
		l.compactAll()
	case l.total > l.live && !l.tidying:
		l.tidying = true
		l.compact.Reset(l.tidyAfter)
	}
}

// compactAll begins to pass all messages that there are.
func (l *Ledger) compactAll() {
	l.toPass = len(l.messages)
	if l.toPass > 0 {
		l.compact.Reset(0)
	}
}

// compactSome is called by the timer.
func (l *Ledger) compactSome() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.passing {
		return
	}
	if l.toPass == 0 && l.tidying {
		l.toPass = len(l.messages)
	}
	l.tidying = false
	for n := atOnce; n > 0 && l.toPass > 0; n-- {
		if !l.step() {
			l.toPass = 0
			return
		}
	}
	if l.toPass > 0 {
		l.compact.Reset(between)
		return
	}
	l.growth = 2*len(l.messages) + spareMessages
	l.compactSoon() // of what has died meanwhile
}

// step queues what is alive in the first messages again, and removes these. A
// process that dies in between leaves connections that are there twice, which
// Adopt knows. It reports whether there is hope for another step.
func (l *Ledger) step() bool {
	first := l.messages[0].origin
	var alive []Candidate
	n := 0
	for n < l.toPass && l.messages[n].origin == first {
		more := l.messages[n].alive()
		if n > 0 && len(alive)+len(more) > l.slack() {
			break
		}
		alive = append(alive, more...)
		n++
	}
	if l.send(first, alive) == nil {
		return l.drop(n)
	}
	// Room comes first. For a moment these few would not survive.
	if !l.drop(n) {
		return false
	}
	if l.send(first, alive) != nil {
		for _, c := range alive {
			l.refuse(c.Mark, kept)
		}
	}
	return true
}

// alive returns the connections whose duplicate in m is needed.
func (m *message) alive() []Candidate {
	var alive []Candidate
	for _, c := range m.entries {
		if c.Mark != nil && c.Mark.stage.Load() == kept {
			alive = append(alive, c)
		}
	}
	return alive
}

// drop removes the first n messages. Should the queue not be what it was, which
// cannot be, nothing in it can be told apart any more, and l ends.
func (l *Ledger) drop(n int) bool {
	for range n {
		if l.queue.drop() != nil {
			l.end()
			return false
		}
		m := l.messages[0]
		for _, c := range m.entries {
			if c.Mark != nil {
				c.Mark.message = nil
			}
		}
		l.total -= len(m.entries)
		l.messages[0] = nil
		l.messages = l.messages[1:]
		l.toPass--
	}
	return true
}
