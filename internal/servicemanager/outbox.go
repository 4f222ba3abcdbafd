package servicemanager

import (
	"slices"
	"sync"

	"github.com/heirloom-go/heirloom/notify"
)

// A Subject is what a message is about of which only the newest matters.
type Subject int

// The subjects of messages that repeat.
const (
	other      Subject = iota // each message matters
	Status                    // what `systemctl status` shows
	SignOfLife                // to the watchdog
	MoreTime                  // for a timeout
)

// A message is one that waits to be sent.
type message struct {
	states  []notify.State
	subject Subject
	barrier bool       // there are no states: done says when all before it was read
	done    chan error // has room for one; nil if nobody waits
}

// An outbox sends messages in order, in a goroutine that is there only while
// there are any.
type outbox struct {
	deliver func(message)

	mu      sync.Mutex
	waiting []message
	idle    chan struct{} // closed when nothing is left to send; nil while that is so
}

// post never waits. A message takes the place of those about the same subject
// that still wait, and goes to the end.
func (o *outbox) post(msg message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if msg.subject != other {
		o.waiting = slices.DeleteFunc(o.waiting, func(w message) bool { return w.subject == msg.subject })
	}
	o.waiting = append(o.waiting, msg)
	if o.idle == nil {
		o.idle = make(chan struct{})
		go o.send(o.idle)
	}
}

func (o *outbox) send(idle chan struct{}) {
	defer close(idle)
	for {
		msg, ok := o.next()
		if !ok {
			return
		}
		o.deliver(msg)
	}
}

// next returns the next message. If there is none the goroutine has to end.
func (o *outbox) next() (msg message, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		o.idle = nil
		return message{}, false
	}
	msg = o.waiting[0]
	o.waiting = slices.Delete(o.waiting, 0, 1)
	return msg, true
}

// sent returns a channel that is closed when nothing is left to send.
func (o *outbox) sent() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.idle != nil {
		return o.idle
	}
	idle := make(chan struct{})
	close(idle)
	return idle
}

// drop forgets what waits and that nobody waits for.
func (o *outbox) drop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = slices.DeleteFunc(o.waiting, func(w message) bool { return w.done == nil })
}
