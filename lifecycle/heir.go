package lifecycle

import (
	"slices"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// maxUntaken is how many messages with connections may be on their way to the heir. Descriptors in flight count against
// RLIMIT_NOFILE of the sender's user (too_many_unix_fds in the kernel's net/unix/scm.c), so they are kept few.
const maxUntaken = 2

// A taker takes connections at rest: the successor, or a queue for one that is still to come.
type taker interface {
	serves(p *port) bool
	pass(m member)
}

// A batch is connections that go to the taker in one message.
type batch []member

// next cuts off the longest batch there is of one port.
func nextBatch(waiting []member) (next batch, rest []member) {
	n, port := 1, waiting[0].base().port
	for n < min(len(waiting), handover.MaxDescriptors) && waiting[n].base().port == port {
		n++
	}
	return batch(waiting[:n:n]), waiting[n:]
}

// send sends duplicates: until a connection is known to have arrived it stays open here.
func (b batch) send(send func(handover.Message, ...int) error) error {
	fds := make([]int, 0, len(b))
	defer func() { closeDescriptors(fds) }()
	port := b[0].base().port
	m := handover.Message{
		Type:     handover.Connections,
		Listener: port.name,
		Address:  port.listener.Addr().String(),
		Stream:   port.stream,
	}
	for _, member := range b {
		fd, err := duplicate(member.base().raw)
		if err != nil {
			return err
		}
		fds = append(fds, fd)
		if port.stream {
			m.States = append(m.States, member.base().left)
		}
	}
	return send(m, fds...)
}

// An heir is the successor as its predecessor sees it once it has handed over: it takes the connections that come to rest.
//
// A connection stays open and counted here until the heir says that it has taken it. So those which a dying heir had not
// taken are served here after all.
type heir struct {
	conn *handover.Conn
	back func([]member) // serves connections here that the heir will not take

	mu         sync.Mutex
	wake       sync.Cond
	pid        int
	generation int
	listeners  []string
	streams    []string
	queue      []member // at rest, to be sent
	untaken    []batch  // sent, in order
	lost       bool
}

func newHeir(c *handover.Conn, ready handover.Message, back func([]member)) *heir {
	h := &heir{conn: c, back: back}
	h.wake.L = &h.mu
	h.introduce(ready)
	return h
}

// introduce is told who takes the connections from now on: the heir may have been replaced by its own.
func (h *heir) introduce(m handover.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pid, h.generation, h.listeners, h.streams = m.PID, m.Generation, m.Listeners, m.Streams
}

// serves reports whether the heir serves the connections of p.
func (h *heir) serves(p *port) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := h.listeners
	if p.stream {
		names = h.streams
	}
	return !h.lost && slices.Contains(names, p.name)
}

// pass queues a connection at rest for the heir.
func (h *heir) pass(m member) {
	h.mu.Lock()
	lost := h.lost
	if !lost {
		h.queue = append(h.queue, m)
		h.wake.Signal()
	}
	h.mu.Unlock()
	if lost {
		h.back([]member{m})
	}
}

// run sends what is queued until the heir is lost.
func (h *heir) run() {
	for {
		batch := h.next()
		if batch == nil {
			return
		}
		if err := batch.send(h.conn.Send); err != nil {
			h.lose()
			return
		}
	}
}

// next waits for connections to send, and returns nil when the heir is lost.
func (h *heir) next() batch {
	h.mu.Lock()
	defer h.mu.Unlock()
	for !h.lost && (len(h.queue) == 0 || len(h.untaken) >= maxUntaken) {
		h.wake.Wait()
	}
	if h.lost {
		return nil
	}
	var next batch
	next, h.queue = nextBatch(h.queue)
	h.untaken = append(h.untaken, next)
	return next
}

// taken ends the oldest batch: the first count of it are the heir's now, the others are served here.
func (h *heir) taken(count int) {
	h.mu.Lock()
	var batch batch
	if len(h.untaken) > 0 {
		batch = h.untaken[0]
		h.untaken = h.untaken[1:]
		h.wake.Signal()
	}
	h.mu.Unlock()
	count = max(0, min(count, len(batch)))
	for _, c := range batch[:count] {
		_ = end(c)
	}
	h.back(batch[count:])
}

// lose gives back everything that the heir has not taken, and later everything it is passed.
func (h *heir) lose() {
	h.mu.Lock()
	h.lost = true
	rest := h.queue
	for _, batch := range h.untaken {
		rest = append(rest, batch...)
	}
	h.queue, h.untaken = nil, nil
	h.wake.Broadcast()
	h.mu.Unlock()
	h.back(rest)
}

// quit lets the heir go, after a moment in which a last message may still leave.
func (h *heir) quit() {
	_ = h.conn.SetWriteDeadline(time.Now().Add(time.Second))
	h.lose()
	_ = h.conn.Close()
}
