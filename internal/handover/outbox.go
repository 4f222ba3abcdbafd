package handover

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// maxPosted is how many messages an Outbox holds for a process that does not
// read. It would be sent the same things again and again.
const maxPosted = 100

// How long an Outbox waits between two attempts when descriptors or memory are
// short.
const (
	minShortageDelay = 10 * time.Millisecond
	maxShortageDelay = time.Second
)

// An Outbox sends messages on a handover socket, in order. No method but Close
// waits: a process that is stopped does not read, and its queue is full at some
// point. A message that finds no room is sent later, by a goroutine of the
// Outbox. Goroutines may share an Outbox.
type Outbox struct {
	conn *Conn

	mu      sync.Mutex
	waiting []posted
	closed  bool
	idle    chan struct{} // nil, or closed when nothing waits any more
	over    chan struct{} // closed when nothing is to wait
}

// A posted is a message that waits, and with it a socket that it gives away.
type posted struct {
	message Message
	socket  *Conn // nil if there is none; closed once it is sent, or cannot be
}

// NewOutbox makes an Outbox that sends on conn, which stays the caller's.
func NewOutbox(conn *Conn) *Outbox { return &Outbox{conn: conn, over: make(chan struct{})} }

// Post sends m, now or later. The error is that of a message that will not be
// sent: it matches syscall.EAGAIN if the other side has not read for too long,
// and syscall.EPIPE after Close.
func (o *Outbox) Post(m Message) error { return o.add(posted{message: m}) }

// Give posts m with socket, which it owns from then on: the other process has
// it, or it is closed.
func (o *Outbox) Give(m Message, socket *Conn) error {
	return o.add(posted{m, socket})
}

func (o *Outbox) add(p posted) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		p.drop()
		return fmt.Errorf("send %s: %w", p.message.Type, syscall.EPIPE)
	}
	if len(o.waiting) == 0 {
		if err := p.send(o.conn); err == nil || !mayPass(err) {
			p.drop()
			return err
		}
	}
	if len(o.waiting) >= maxPosted {
		p.drop()
		return fmt.Errorf("send %s: %w", p.message.Type, syscall.EAGAIN)
	}
	o.waiting = append(o.waiting, p)
	if o.idle == nil {
		o.idle = make(chan struct{})
		go o.run(o.idle)
	}
	return nil
}

// mayPass reports whether the cause of err may go away by itself.
func mayPass(err error) bool { return errors.Is(err, syscall.EAGAIN) || fdutil.IsShortage(err) }

func (p posted) send(conn *Conn) error {
	if p.socket == nil {
		return conn.TrySend(p.message)
	}
	var err error
	controlErr := p.socket.Control(func(fd int) { err = conn.TrySend(p.message, fd) })
	return errors.Join(controlErr, err)
}

func (p posted) drop() {
	if p.socket != nil {
		_ = p.socket.Close()
	}
}

// run sends what waits, until nothing does or it cannot.
func (o *Outbox) run(idle chan struct{}) {
	defer close(idle)
	delay := time.Duration(0)
	for {
		err := o.conn.AwaitRoom()
		if err == nil {
			err = o.sendWaiting()
		}
		switch {
		case err == nil:
			return
		case errors.Is(err, syscall.EAGAIN):
		case fdutil.IsShortage(err):
			delay = min(max(2*delay, minShortageDelay), maxShortageDelay)
			select {
			case <-time.After(delay):
			case <-o.over:
			}
		default: // there is no other side, or the socket is no longer ours
			o.drop()
			return
		}
	}
}

// sendWaiting returns nil when nothing waits any more; run ends then.
func (o *Outbox) sendWaiting() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.waiting) > 0 {
		if err := o.waiting[0].send(o.conn); err != nil && (mayPass(err) || len(o.waiting) == 1) {
			return err
		}
		o.waiting[0].drop()
		o.waiting = o.waiting[1:]
	}
	o.idle = nil
	return nil
}

func (o *Outbox) drop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.waiting {
		p.drop()
	}
	o.waiting, o.idle = nil, nil
}

// Close sends nothing more once what waits has had its time, and returns then.
// The socket stays open. Close is called once.
func (o *Outbox) Close(patience time.Duration) {
	o.mu.Lock()
	o.closed = true
	idle := o.idle
	o.mu.Unlock()
	if idle == nil {
		return
	}
	_ = o.conn.SetWriteDeadline(time.Now().Add(patience))
	timer := time.AfterFunc(patience, func() { close(o.over) })
	defer timer.Stop()
	<-idle
}
