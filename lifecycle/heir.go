package lifecycle

import (
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// maxUntaken is how many messages with connections may be on their way to the heir. Descriptors in flight count against
// RLIMIT_NOFILE of the sender's user (too_many_unix_fds in the kernel's net/unix/scm.c), so they are kept few.
const maxUntaken = 2

// An heir is the successor as its predecessor sees it once it has handed over: it takes the connections that come to rest.
//
// A connection stays open and counted here until the heir says that it has taken it. So those which a dying heir had not
// taken are served here after all.
type heir struct {
	conn *handover.Conn
	back func([]*conn) // serves connections here that the heir will not take

	mu         sync.Mutex
	wake       sync.Cond
	pid        int
	generation int
	listeners  map[string]bool
	queue      []*conn   // at rest, to be sent
	untaken    [][]*conn // sent, in order
	lost       bool
}

func newHeir(c *handover.Conn, ready handover.Message, back func([]*conn)) *heir {
	h := &heir{conn: c, back: back}
	h.wake.L = &h.mu
	h.introduce(ready)
	return h
}

// introduce is told who takes the connections from now on: the heir may have been replaced by its own.
func (h *heir) introduce(m handover.Message) {
	listeners := make(map[string]bool, len(m.Listeners))
	for _, name := range m.Listeners {
		listeners[name] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pid, h.generation, h.listeners = m.PID, m.Generation, listeners
}

// serves reports whether the heir serves the connections of the listener name.
func (h *heir) serves(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.lost && h.listeners[name]
}

// pass queues a connection at rest for the heir.
func (h *heir) pass(c *conn) {
	h.mu.Lock()
	lost := h.lost
	if !lost {
		h.queue = append(h.queue, c)
		h.wake.Signal()
	}
	h.mu.Unlock()
	if lost {
		h.back([]*conn{c})
	}
}

// run sends what is queued until the heir is lost.
func (h *heir) run() {
	for {
		batch := h.next()
		if batch == nil {
			return
		}
		if err := h.send(batch); err != nil {
			h.lose()
			return
		}
	}
}

// send sends duplicates: the connections stay open here, and a deadline may close them at any time.
func (h *heir) send(batch []*conn) error {
	fds := make([]int, 0, len(batch))
	defer func() { closeDescriptors(fds) }()
	for _, c := range batch {
		fd, err := duplicate(c.raw)
		if err != nil {
			return err
		}
		fds = append(fds, fd)
	}
	from := batch[0].server
	return h.conn.Send(handover.Message{
		Type:     handover.Connections,
		Listener: from.name,
		Address:  from.listener.Addr().String(),
	}, fds...)
}

// next waits for connections to send and returns the longest batch there is of one listener, nil when the heir is lost.
func (h *heir) next() []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	for !h.lost && (len(h.queue) == 0 || len(h.untaken) >= maxUntaken) {
		h.wake.Wait()
	}
	if h.lost {
		return nil
	}
	n := 1
	for n < min(len(h.queue), handover.MaxDescriptors) && h.queue[n].server == h.queue[0].server {
		n++
	}
	batch := h.queue[:n:n]
	h.queue = h.queue[n:]
	h.untaken = append(h.untaken, batch)
	return batch
}

// taken ends the oldest batch: the first count of it are the heir's now, the others are served here.
func (h *heir) taken(count int) {
	h.mu.Lock()
	var batch []*conn
	if len(h.untaken) > 0 {
		batch = h.untaken[0]
		h.untaken = h.untaken[1:]
		h.wake.Signal()
	}
	h.mu.Unlock()
	count = max(0, min(count, len(batch)))
	for _, c := range batch[:count] {
		_ = c.end()
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
