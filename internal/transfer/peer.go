package transfer

import (
	"errors"
	"slices"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// maxUnacknowledged is how many messages with connections may be on their way
// to the successor. Descriptors in flight count against RLIMIT_NOFILE of the
// sender's user (too_many_unix_fds in the kernel's net/unix/scm.c), so they are
// kept few.
const maxUnacknowledged = 2

// An Owner has the connections of this process. It is a *conntrack.Registry.
type Owner interface {
	// TakeBack serves connections here that cannot go: their next response is
	// their last.
	TakeBack(conns []conntrack.Conn)
	// ServeMeanwhile serves connections here that cannot go yet.
	ServeMeanwhile(conns []conntrack.Conn)
	// LookAgain is called when a successor that was full may have room.
	LookAgain()
	// Len returns how many connections there are.
	Len() int
}

// A Peer is a successor that lives, to which connections at rest are sent.
//
// A connection has one owner at any time. What was sent is the successor's if
// it says so. It is served here again only if the successor cannot have it:
// when it says that it took fewer, or has died, which is an end-of-file. Until
// then the connection stays open and counted here. Whatever else goes wrong,
// and when the time is over, it is closed here without another word: the
// successor may be slow, or stopped, and go on later.
//
// A session of TLS that was sent is never served here again: if the successor
// does not take it, it is closed. So none is sent before the successor has said
// that it has room.
//
// Goroutines may share a Peer. None of its methods but Run waits.
type Peer struct {
	conn  *handover.Conn
	send  SendFunc // on conn, without waiting
	owner Owner
	log   hclog.Logger

	mu             sync.Mutex
	wake           sync.Cond
	pid            int
	moving         handover.Moving
	queue          waitlist // at rest, to be sent
	unacknowledged []batch  // sent, in order
	size           batchSize
	closed         bool // nothing more is sent
	lack           lack // of what sending takes here
	full           bool // the successor has no room for more
	fullness       lack
	grant          grant
}

var _ conntrack.Sink = (*Peer)(nil)

// NewPeer makes a Peer that sends on conn, which stays the caller's. See
// SetTarget for target.
func NewPeer(conn *handover.Conn, target handover.Message, owner Owner, log hclog.Logger) *Peer {
	p := &Peer{conn: conn, send: conn.TrySend, owner: owner, log: log, size: newBatchSize()}
	p.wake.L = &p.mu
	p.SetTarget(target)
	return p
}

// SetTarget says which process takes the connections from now on, by its PID,
// and those of which listeners, by Moving: the successor may have been replaced
// by its own.
func (p *Peer) SetTarget(target handover.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pid, p.moving = target.PID, target.Moving
	if max(target.SessionFormat, 1) != tlsmove.Format {
		p.moving.Sessions, p.moving.SecureStreams = nil, nil
	}
	p.grant.end()
}

// Serves reports whether the successor serves the connections of e.
func (p *Peer) Serves(e *conntrack.Endpoint) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := p.moving.Listeners
	switch e.Kind {
	case conntrack.Streams:
		names = p.moving.Streams
	case conntrack.HTTPS:
		names = p.moving.Sessions
	case conntrack.SecureStreams:
		names = p.moving.SecureStreams
	}
	return !p.closed && slices.Contains(names, e.Name)
}

// Pass queues a connection at rest for the successor.
func (p *Peer) Pass(c conntrack.Conn) {
	p.mu.Lock()
	closed, full := p.closed, p.full
	if !closed && !full {
		p.queue.push(c)
		p.wake.Signal()
	}
	p.mu.Unlock()
	switch {
	case closed:
		p.owner.TakeBack([]conntrack.Conn{c})
	case full:
		p.owner.ServeMeanwhile([]conntrack.Conn{c})
	}
}

// Run sends what is queued until nothing more is to be sent.
func (p *Peer) Run() {
	for p.await() {
		refused, err := p.sendNext(false)
		p.owner.TakeBack(refused)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			if p.conn.AwaitRoom() != nil {
				return // its end is noticed by the goroutine that receives on it
			}
		case err != nil:
			return
		}
	}
}

// await waits for connections to send. It returns false when nothing more is to
// be sent.
func (p *Peer) await() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && (p.queue.count == 0 || p.full || p.grant.asked || len(p.unacknowledged) >= maxUnacknowledged || p.lack.waits()) {
		p.wake.Wait()
	}
	return !p.closed
}

// sendNext sends one message. It returns an error if no message can be sent,
// for now (EAGAIN) or ever, and a connection that cannot be sent. For sessions
// of TLS it asks whether there is room, unless isLast.
//
// The mutex is held while it sends, so what is in the queue was not sent and
// what is not in it was. Hence TrySend: nothing may wait under the mutex, which
// Pass needs.
func (p *Peer) sendNext(isLast bool) (refused []conntrack.Conn, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.queue.count == 0 {
		return nil, nil
	}
	next := p.queue.next(p.size.now)
	if next.endpoint().Kind.HasSessions() && !isLast {
		if p.grant.isNeeded() {
			p.queue.putBack(next)
			err := p.ask(next.endpoint())
			if fdutil.IsShortage(err) {
				p.pause(err)
				return nil, nil
			}
			return nil, err
		}
		next = p.grant.use(next, &p.queue)
	}
	err = next.send(p.send)
	if err == nil {
		p.unacknowledged = append(p.unacknowledged, next)
		p.size.grow()
		if p.lack.ends() {
			p.log.Info("connections move again", "successor", p.pid, "left", p.queue.count)
		}
		return nil, nil
	}
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EPIPE):
		p.queue.putBack(next)
		return nil, err
	case len(next) > 1: // fewer may do, or all but one of them
		p.queue.putBack(next)
		p.size.shrink(len(next))
	case fdutil.IsShortage(err):
		p.queue.putBack(next)
		p.pause(err)
	default:
		p.log.Warn("a connection cannot move", "error", err)
		next.forget()
		return next, nil
	}
	return nil, nil
}

// pause sends nothing for a while, for want of what err says. mu is held.
func (p *Peer) pause(err error) {
	if p.lack.begins(p.tryAgain) {
		p.log.Warn("connections cannot move for now", "successor", p.pid, "left", p.queue.count,
			"error", err, "RLIMIT_NOFILE", fdutil.Limit())
	}
}

// SendRest sends what there is room for at once, however much is
// unacknowledged: what is left here is about to be closed.
func (p *Peer) SendRest() {
	for p.left() > 0 {
		refused, err := p.sendNext(true)
		p.owner.TakeBack(refused)
		if err != nil {
			return
		}
	}
}

// left returns how many connections wait that can be sent now.
func (p *Peer) left() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.lack.waits() {
		return 0
	}
	return p.queue.count
}

func (p *Peer) tryAgain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lack.over()
	p.wake.Signal()
}

// Accepted ends the oldest batch, which the successor has acknowledged: the
// first count of it are the successor's now, the others are served here. If it
// had no room for them, what is still to be sent is served here as well, until
// it may have room: see Owner.LookAgain.
func (p *Peer) Accepted(count int, noRoom bool) {
	p.mu.Lock()
	var batch batch
	if len(p.unacknowledged) > 0 {
		batch = p.unacknowledged[0]
		p.unacknowledged = p.unacknowledged[1:]
		p.lack.over() // those descriptors are in flight no more
		p.wake.Signal()
	}
	noRoom = noRoom && !p.closed
	if batch == nil && p.grant.asked { // it was a question
		p.grant.answer(count, noRoom)
	} else {
		noRoom = noRoom && count < len(batch)
	}
	count = max(0, min(count, len(batch)))
	rest := batch[count:]
	if noRoom {
		rest = append(rest[:len(rest):len(rest)], p.queue.takeAll()...)
		p.beFull(len(rest))
	} else if count > 0 && p.fullness.ends() {
		p.log.Info("the successor has room for connections again", "successor", p.pid, "left", p.queue.count)
	}
	p.mu.Unlock()
	for _, c := range batch[:count] {
		conntrack.CloseShared(c)
	}
	if noRoom {
		p.owner.ServeMeanwhile(rest)
	} else {
		p.owner.TakeBack(rest)
	}
}

// beFull sends nothing for a while, and then one connection to see.
func (p *Peer) beFull(left int) {
	p.full, p.size.now = true, 1
	first := p.fullness.begins(func() {
		p.mu.Lock()
		p.full = false
		p.fullness.over()
		p.wake.Signal()
		p.mu.Unlock()
		p.owner.LookAgain()
	})
	if first {
		p.log.Warn("the successor has no room for connections: they stay for now", "successor", p.pid, "left", left,
			"RLIMIT_NOFILE", fdutil.Limit())
	}
}

// IsFull reports whether connections are to stay for now.
func (p *Peer) IsFull() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.full
}

// Stop sends nothing more: what is queued, and what is passed later, is served
// here. What was sent may be the successor's.
func (p *Peer) Stop() {
	p.owner.TakeBack(p.shut())
}

func (p *Peer) shut() (unsent []conntrack.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.full = true, false
	p.lack.over()
	p.fullness.over()
	p.wake.Broadcast()
	return p.queue.takeAll()
}

// Lose is Stop for a successor that has died: nobody but this process has what
// it has not acknowledged.
func (p *Peer) Lose() {
	p.owner.TakeBack(append(p.shut(), p.takeUnacknowledged()...))
}

// Abandon is Stop for a successor that is waited for no longer: what it has not
// acknowledged is closed here. If it lives it has that, or finds it when it
// goes on.
func (p *Peer) Abandon() {
	p.Stop()
	for _, c := range p.takeUnacknowledged() {
		conntrack.CloseShared(c)
	}
}

func (p *Peer) takeUnacknowledged() []conntrack.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []conntrack.Conn
	for _, batch := range p.unacknowledged {
		all = append(all, batch...)
	}
	p.unacknowledged = nil
	return all
}
