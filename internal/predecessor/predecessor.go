package predecessor

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/process"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// endTimeout bounds the wait for a process to end that has let go of
// everything.
const endTimeout = time.Second

// past is a deadline that wakes a read at once.
var past = time.Unix(1, 0)

// A Predecessor is an older generation that still drains. Goroutines may share
// it.
type Predecessor struct {
	PID        int
	Generation int

	conn     *handover.Conn
	box      *handover.Outbox
	process  *process.Process
	reports  chan handover.Report // answers to handover.Status, room for one
	asking   chan struct{}        // held, by a place in it, by whoever asks
	asked    bool                 // and is not answered yet; belongs to whoever holds asking
	released chan struct{}        // closed to stop reading the socket
	read     chan struct{}        // closed when nothing reads it any more
	mute     bool                 // it could not be told what arrived; belongs to whoever reads
}

// New makes one of its socket, which it owns. Listen must be called, by a
// goroutine of its own, before Give or Close.
func New(conn *handover.Conn, pid, generation int) *Predecessor {
	return &Predecessor{
		PID:        pid,
		Generation: generation,
		conn:       conn,
		box:        handover.NewOutbox(conn),
		process:    process.Find(pid),
		reports:    make(chan handover.Report, 1),
		asking:     make(chan struct{}, 1),
		released:   make(chan struct{}),
		read:       make(chan struct{}),
	}
}

// Post sends m, now or later, and does not wait. See handover.Outbox.
func (p *Predecessor) Post(m handover.Message) error { return p.box.Post(m) }

// Lives reports whether p still has its end of the socket. A process lets go of
// it before its parent hears of its end (do_exit in the kernel's exit.c). It
// reports false after Close.
func (p *Predecessor) Lives() bool { return p.conn.HasReader(0) }

// Fail says that this process will not be ready. It comes before Listen.
func (p *Predecessor) Fail(reason string) {
	_ = p.conn.TrySend(handover.Message{Type: handover.Failed, Reason: reason})
}

// errMute is the end of the socket of a predecessor that lives.
var errMute = errors.New("it cannot be told which connections arrived")

// A Delivery is a message for the goroutine that owns the state, and its
// descriptors. The end of the socket comes as one with an error, and the
// Predecessor is to be closed then: it may live, and know that by nothing else.
type Delivery struct {
	Message     handover.Message
	Descriptors []int
	Err         error
}

// Listen has the connections that come from p served by r, and delivers
// everything else, until p is gone or let go. deliver returns whether it took
// the Delivery, which it must not wait for once released is closed.
func (p *Predecessor) Listen(r *transfer.Receiver, deliver func(d Delivery, released <-chan struct{}) bool) {
	defer close(p.read)
	for {
		m, fds, err := transfer.Next(p.conn, p.released)
		short := errors.Is(err, handover.ErrTruncated)
		if short {
			err = nil
		}
		switch {
		case err == nil && m.Type == handover.Connections:
			if r.Take(p.conn, p.released, p.PID, m, fds, short) {
				continue
			}
			p.mute = true
			m, fds, err = handover.Message{}, nil, errMute
		case err == nil && m.Type == handover.Draining && m.Report != nil:
			select {
			case p.reports <- *m.Report:
			default: // nobody waits for it any more
			}
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			return // let go
		case err != nil:
			p.awaitEnd()
		}
		if !deliver(Delivery{m, fds, err}, p.released) {
			// The next reader sees an end-of-file as well, and a reload is
			// asked of it again.
			fdutil.CloseAll(fds)
			return
		}
		if err != nil {
			return
		}
	}
}

// awaitEnd waits until the process, which has closed its socket, has ended. If
// the main process of a unit ends while others still do, systemd finds nobody
// to signal and kills what it then finds after all.
func (p *Predecessor) awaitEnd() {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	_, _ = p.process.Wait(ctx)
}

// release stops reading the socket, between two messages, and writing there
// what has not left yet. It is called once.
func (p *Predecessor) release() {
	close(p.released)
	p.box.Close(0)
	_ = p.conn.SetDeadline(past)
	p.process.StopWaiting()
	<-p.read
	p.process.Release()
}

// Close lets p go. It is called once, and not after Give.
func (p *Predecessor) Close() {
	p.release()
	_ = p.conn.Close()
}

// Give hands the socket to a successor, whose predecessor p is from then on, by
// way of that successor's outbox. It is called once.
func (p *Predecessor) Give(successor *handover.Outbox) error {
	p.release()
	if p.mute {
		return errors.Join(os.ErrDeadlineExceeded, p.conn.Close())
	}
	return successor.Give(handover.Message{
		Type:    handover.Predecessor,
		Process: handover.Process{PID: p.PID, Generation: p.Generation},
	}, p.conn)
}

// ErrSilent is matched by the error of Report for a process that reads nothing.
var ErrSilent = errors.New("it does not read its handover socket")

// Report asks p how far its drain is, and waits for the answer until ctx ends.
func (p *Predecessor) Report(ctx context.Context) (handover.Report, error) {
	select {
	case p.asking <- struct{}{}:
		defer func() { <-p.asking }()
	case <-ctx.Done():
		return handover.Report{}, ctx.Err()
	}
	select {
	case <-p.reports: // too late for the caller that asked before
		p.asked = false
	default:
	}
	if !p.asked { // else it hangs, and should not find its queue full of questions
		err := p.conn.TrySend(handover.Message{Type: handover.Status})
		if errors.Is(err, syscall.EAGAIN) { // it has not read for long
			return handover.Report{}, ErrSilent
		}
		if err != nil {
			return handover.Report{}, err
		}
		p.asked = true
	}
	select {
	case r := <-p.reports:
		p.asked = false
		return r, nil
	case <-p.read:
		return handover.Report{}, net.ErrClosed
	case <-ctx.Done():
		return handover.Report{}, ctx.Err()
	}
}
