package lifecycle

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// queueDelay is how long a connection may wait for others to be queued with in one message. A message takes about a
// kilobyte of the 200 that a socket holds, whether it carries one connection or 250.
const queueDelay = 5 * time.Millisecond

// spareAfter is after how many messages another socket is made ready: so early that systemd, which closes what it refuses to
// store some time after it has said so, has long done it when the first is full.
const spareAfter = 100

// refusal is how long a socket is watched for being refused where it is needed at once.
const refusal = 100 * time.Millisecond

// A queue is a handover socket of which nobody reads the other end yet: the process that comes after this one will. What is
// queued is in the kernel alone, and the clients wait.
//
// Its methods belong to the goroutine that owns the state, but for those of a taker.
type queue struct {
	first handover.Message // of each socket
	keep  func(end int) error
	conns *registry
	back  func([]member)
	log   hclog.Logger

	socket *handover.Conn
	sent   int            // messages in socket
	spare  *handover.Conn // the socket to go on with
	wake   chan struct{}  // receives, with room for one, when there is reason not to wait for more
	timer  *time.Timer

	mu      sync.Mutex
	waiting []member
	lost    bool
}

var _ taker = (*queue)(nil)

// newQueue makes a queue whose socket says first what this process is. keep takes ownership of the end to be read, and puts
// it where the next process will find it; it is called again for another socket before one is full.
func newQueue(first handover.Message, keep func(end int) error, s *Service) (*queue, error) {
	q := &queue{
		first: first,
		keep:  keep,
		conns: s.conns,
		back:  s.takeBack,
		log:   s.log,
		wake:  make(chan struct{}, 1),
		timer: stoppedTimer(),
	}
	var err error
	if q.socket, err = q.open(); err != nil {
		return nil, err
	}
	return q, nil
}

func (q *queue) open() (*handover.Conn, error) {
	socket, end, err := handover.Pair()
	if err != nil {
		return nil, err
	}
	if err = socket.TrySend(q.first); err != nil {
		closeDescriptors([]int{end})
	} else {
		err = q.keep(end)
	}
	if err == nil && !socket.HasReader(0) {
		err = errNotKept
	}
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	return socket, nil
}

// kept reports whether somebody holds the end to be read.
func (q *queue) kept() bool { return q.socket.HasReader(0) }

func (q *queue) serves(p *port) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.lost && p.name != controlName
}

func (q *queue) pass(m member) {
	q.mu.Lock()
	lost := q.lost
	if !lost {
		q.waiting = append(q.waiting, m)
	}
	n := len(q.waiting)
	q.mu.Unlock()
	switch {
	case lost:
		q.back([]member{m})
	case n >= handover.MaxDescriptors, n == q.conns.len():
		select {
		case q.wake <- struct{}{}:
		default:
		}
	case n == 1:
		q.timer.Reset(queueDelay)
	}
}

// flush queues what waits.
func (q *queue) flush() {
	q.mu.Lock()
	waiting := q.waiting
	q.waiting = nil
	q.mu.Unlock()
	for len(waiting) > 0 {
		var next batch
		next, waiting = nextBatch(waiting)
		if err := q.send(next.send); err != nil {
			q.log.Warn("cannot queue connections for the next process: telling them to close", "error", err)
			q.lose()
			q.back(append(next, waiting...))
			return
		}
		for _, m := range next {
			_ = end(m)
		}
	}
}

// send queues one message, in another socket if this one is full.
func (q *queue) send(send func(func(handover.Message, ...int) error) error) error {
	err := send(q.socket.TrySend)
	if errors.Is(err, syscall.EAGAIN) {
		if err := q.extend(); err != nil {
			return err
		}
		err = send(q.socket.TrySend)
	}
	if q.sent++; q.sent == spareAfter && q.spare == nil {
		var openErr error
		if q.spare, openErr = q.open(); openErr != nil {
			q.log.Debug("no room for a second queue yet", "error", openErr)
		}
	}
	return err
}

// extend goes on with another socket.
func (q *queue) extend() error {
	patience := time.Duration(0)
	if q.spare == nil {
		patience = refusal
		var err error
		if q.spare, err = q.open(); err != nil {
			return err
		}
	}
	if !q.spare.HasReader(patience) {
		return errNotKept
	}
	_ = q.socket.Close()
	q.socket, q.spare, q.sent = q.spare, nil, 0
	return nil
}

// lose gives back what waits, and later what is passed.
func (q *queue) lose() {
	q.mu.Lock()
	q.lost = true
	waiting := q.waiting
	q.waiting = nil
	q.mu.Unlock()
	q.back(waiting)
}

func (q *queue) close() {
	_ = q.socket.Close()
	if q.spare != nil {
		_ = q.spare.Close()
	}
}
