package transfer

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// queueDelay is how long a connection may wait for others to be queued with in
// one message. A message takes about a kilobyte of the 200 that a socket holds,
// whether it carries one connection or 250.
const queueDelay = 5 * time.Millisecond

// spareAfter is after how many messages another socket is made ready. When
// systemd refuses to store a socket it closes it some time later, which it has
// done long before the first one is full. A message of 250 connections with
// their clocks takes four kilobytes.
const spareAfter = 30

// refusal is for how long a socket that is needed at once is watched for being
// refused.
const refusal = 100 * time.Millisecond

// queuePatience is how long connections may wait for room in the queue. Nobody
// serves them meanwhile.
const queuePatience = 5 * time.Second

// ErrNotKept is matched by the error for a Queue whose other end nobody holds:
// the file descriptor store is full, or the unit has none
// (FileDescriptorStoreMax=).
var ErrNotKept = errors.New("the file descriptor store has no room")

// A Queue is a handover socket of which nobody reads the other end yet: the
// process that comes after this one will. What is queued is in the kernel
// alone, and the clients wait.
//
// The methods of a conntrack.Sink may be called by any goroutine. All others
// belong to one, which calls Flush when one of Full and Due receives.
type Queue struct {
	first handover.Message // of each socket
	keep  func(end int) error
	owner Owner
	log   hclog.Logger

	socket *handover.Conn
	sent   int            // messages in socket
	spare  *handover.Conn // the socket to go on with
	full   chan struct{}  // receives, with room for one, when there is reason not to wait for more
	due    *time.Timer
	size   batchSize
	lack   lack

	mu      sync.Mutex
	waiting waitlist
	lost    bool
}

var _ conntrack.Sink = (*Queue)(nil)

// NewQueue makes a Queue. The first message of its socket is first, by which
// this process says what it is. keep takes ownership of the end to be read, and
// puts it where the next process will find it; it is called again for another
// socket before one is full.
func NewQueue(first handover.Message, keep func(end int) error, owner Owner, log hclog.Logger) (*Queue, error) {
	q := prepareQueue(first, keep, owner, log)
	var err error
	if q.socket, err = q.open(); err != nil {
		return nil, err
	}
	return q, nil
}

// ContinueQueue is NewQueue with a first socket that is kept already, which it
// owns, also when it fails. Nothing has been sent there yet.
func ContinueQueue(socket *handover.Conn, first handover.Message, keep func(end int) error, owner Owner, log hclog.Logger) (*Queue, error) {
	q := prepareQueue(first, keep, owner, log)
	q.socket = socket
	if err := socket.TrySend(first); err != nil {
		_ = socket.Close()
		return nil, err
	}
	return q, nil
}

func prepareQueue(first handover.Message, keep func(end int) error, owner Owner, log hclog.Logger) *Queue {
	q := &Queue{
		first: first,
		keep:  keep,
		owner: owner,
		log:   log,
		full:  make(chan struct{}, 1),
		due:   time.NewTimer(queuePatience),
		size:  newBatchSize(),
	}
	q.due.Stop()
	return q
}

// Full receives when there is no reason to wait before Flush is called.
func (q *Queue) Full() <-chan struct{} { return q.full }

// Due receives when connections have waited long enough for others to be queued
// with, or for room.
func (q *Queue) Due() <-chan time.Time { return q.due.C }

func (q *Queue) open() (*handover.Conn, error) {
	socket, end, err := handover.Pair()
	if err != nil {
		return nil, err
	}
	if err = socket.TrySend(q.first); err != nil {
		fdutil.CloseAll([]int{end})
	} else {
		err = q.keep(end)
	}
	if err == nil && !socket.HasReader(0) {
		err = ErrNotKept
	}
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	return socket, nil
}

// KeepForOther has keep take the end to be read of a socket for ContinueQueue
// in another process. It waits for a refusal that may be on its way: the error
// matches ErrNotKept then.
func KeepForOther(keep func(end int) error) (*handover.Conn, error) {
	socket, end, err := handover.Pair()
	if err != nil {
		return nil, err
	}
	if err = keep(end); err == nil && !socket.HasReader(refusal) {
		err = ErrNotKept
	}
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	return socket, nil
}

// IsKept reports whether the end to be read is held, here or by systemd.
func (q *Queue) IsKept() bool { return q.socket.HasReader(0) }

// WasRefused reports whether nobody holds the end to be read of a Queue that is
// needed at once. It waits for a refusal that may be on its way.
func (q *Queue) WasRefused() bool { return !q.socket.HasReader(refusal) }

// Serves reports whether the connections of e may be queued: all but those of
// the control socket.
func (q *Queue) Serves(e *conntrack.Endpoint) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.lost && !e.Control
}

// IsFull reports false: what finds no room waits.
func (q *Queue) IsFull() bool { return false }

// Pass has c queued by the next Flush.
func (q *Queue) Pass(c conntrack.Conn) {
	q.mu.Lock()
	lost := q.lost
	if !lost {
		q.waiting.push(c)
	}
	n := q.waiting.count
	q.mu.Unlock()
	switch {
	case lost:
		q.owner.TakeBack([]conntrack.Conn{c})
	case n >= q.size.most, n == q.owner.Len():
		select {
		case q.full <- struct{}{}:
		default:
		}
	case n == 1:
		q.due.Reset(queueDelay)
	}
}

// Flush queues what waits. What there is no room for yet goes on waiting, for a
// while.
func (q *Queue) Flush() {
	q.mu.Lock()
	waiting := q.waiting
	q.waiting = waitlist{}
	q.mu.Unlock()
	for waiting.count > 0 {
		next := waiting.next(q.size.now)
		err := q.Send(next.send)
		switch {
		case err == nil:
			for _, c := range next {
				conntrack.CloseShared(c)
			}
			q.size.grow()
			if q.lack.ends() {
				q.log.Info("connections are queued again", "left", waiting.count)
			}
		case len(next) > 1 && !errors.Is(err, ErrNotKept) && !errors.Is(err, syscall.EPIPE): // fewer may do
			waiting.putBack(next)
			q.size.shrink(len(next))
		case errors.Is(err, errNotLent):
			q.log.Warn("a connection cannot be queued", "error", err)
			next.forget()
			q.owner.TakeBack(next)
		case fdutil.IsShortage(err) && q.lack.lasts() < queuePatience:
			waiting.putBack(next)
			q.retry(waiting.takeAll(), err)
			return
		default:
			q.log.Warn("cannot queue connections for the next process: telling them to close", "error", err)
			q.Lose()
			q.owner.TakeBack(append(next, waiting.takeAll()...))
			return
		}
	}
}

// retry has connections for which there is no room now wait.
func (q *Queue) retry(waiting []conntrack.Conn, err error) {
	if q.lack.begins(func() {}) {
		q.log.Warn("cannot queue connections for the next process for now", "left", len(waiting), "error", err,
			"RLIMIT_NOFILE", fdutil.Limit())
	}
	q.mu.Lock()
	for _, c := range waiting {
		q.waiting.push(c)
	}
	q.mu.Unlock()
	q.due.Reset(q.lack.delay)
}

// Send queues the message that f sends, in another socket if this one is full.
// It may call f twice, and returns its error.
func (q *Queue) Send(f func(SendFunc) error) error {
	err := f(q.socket.TrySend)
	if errors.Is(err, syscall.EAGAIN) {
		if err := q.extend(); err != nil {
			return err
		}
		err = f(q.socket.TrySend)
	}
	if q.sent++; q.sent == spareAfter && q.spare == nil {
		var openErr error
		if q.spare, openErr = q.open(); openErr != nil {
			q.log.Debug("no room for a second queue yet", "error", openErr)
		}
	}
	return err
}

// Reserve makes another socket ready if this one is filling up. Then keep is not
// called for the next few messages that Send queues.
func (q *Queue) Reserve() error {
	if q.spare != nil || q.socket.HasRoom() {
		return nil
	}
	var err error
	q.spare, err = q.open()
	return err
}

// extend goes on with another socket.
func (q *Queue) extend() error {
	patience := time.Duration(0)
	if q.spare == nil {
		patience = refusal
		var err error
		if q.spare, err = q.open(); err != nil {
			return err
		}
	}
	if !q.spare.HasReader(patience) {
		return ErrNotKept
	}
	_ = q.socket.Close()
	q.socket, q.spare, q.sent = q.spare, nil, 0
	return nil
}

// Lose has what waits served here, and what is passed later.
func (q *Queue) Lose() {
	q.mu.Lock()
	q.lost = true
	waiting := q.waiting.takeAll()
	q.mu.Unlock()
	q.owner.TakeBack(waiting)
}

// Close closes this end. What is queued stays.
func (q *Queue) Close() {
	_ = q.socket.Close()
	if q.spare != nil {
		_ = q.spare.Close()
	}
}
