package lifecycle

import (
	"errors"
	"os"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/predecessor"
	"github.com/heirloom-go/heirloom/internal/reloads"
)

// A peerMessage is a message for the goroutine that owns the state. The end of
// the socket comes as one with an error.
type peerMessage struct {
	predecessor.Delivery
	from *predecessor.Predecessor // nil if from the successor
}

func (m *mainLoop) onMessage(msg peerMessage) {
	switch {
	case msg.from == nil:
		m.onSuccessorMessage(msg.Message, msg.Err)
	case errors.Is(msg.Err, handover.ErrMalformed):
		m.log.Warn("malformed message from predecessor, closing its socket", "pid", msg.from.PID, "error", msg.Err)
		m.forgetPredecessor(msg.from)
	case msg.Err != nil:
		m.forgetPredecessor(msg.from)
	default:
		m.onPredecessorMessage(msg.from, msg.Message, msg.Descriptors)
	}
}

func (m *mainLoop) onPredecessorMessage(p *predecessor.Predecessor, msg handover.Message, fds []int) {
	switch msg.Type {
	case handover.Go:
		m.startAccepting(p)
	case handover.Main:
		m.service.atStep("main")
		if m.state == Starting {
			m.becomeMain(msg.Outcome, true)
		}
	case handover.Predecessor:
		m.adopt(msg, fds)
		return
	case handover.Queue:
		m.borrowQueue(fds)
		return
	case handover.Reload:
		m.onReload(reloads.Request{FromPredecessor: true, DryRun: msg.DryRun, Answer: func(o handover.Outcome) {
			_ = p.Post(handover.Message{Type: handover.Reloaded, Outcome: &o})
		}})
	case handover.Cut:
		m.onCut(p)
	case handover.Stop:
		m.requestStop("reason", "the predecessor was told to while it handed over")
		m.told.beside = m.service.manager.Exists() // though it may have ended since
	}
	fdutil.CloseAll(fds)
}

// startAccepting accepts connections alongside the predecessor, which may stop
// accepting from now on.
func (m *mainLoop) startAccepting(p *predecessor.Predecessor) {
	if m.state != Starting || m.tasks.serving > 0 {
		return
	}
	m.service.atStep("take over")
	m.serve()
	if err := p.Post(handover.Message{Type: handover.Serving}); err != nil {
		m.log.Warn("cannot tell the predecessor that this process serves", "error", err)
	}
	m.service.atStep("serving")
}

// borrowQueue queues connections in a socket that the predecessor has put into
// the store, unless the store has one of this process's own. It may come when
// this process has begun to stop.
func (m *mainLoop) borrowQueue(fds []int) {
	if len(fds) != 1 || m.successor != nil || m.stored.Queue() != nil {
		fdutil.CloseAll(fds)
		return
	}
	socket, err := handover.FromDescriptor(fds[0])
	if err == nil {
		err = m.stored.Borrow(socket)
	}
	if err != nil {
		m.log.Warn("cannot use the queue that the predecessor lent", "error", err)
		return
	}
	if m.state == Draining && m.queue() == nil && !m.drain.IsOver() {
		m.leaveToStore()
		m.service.sockets.UnlinkOnClose(m.queue() != nil)
		m.drainToSink()
	}
}

// adopt takes over an older generation from the predecessor, and tells it which
// process takes its connections now.
func (m *mainLoop) adopt(msg handover.Message, fds []int) {
	if len(fds) != 1 {
		fdutil.CloseAll(fds)
		m.log.Warn("predecessor spoke of an older generation without its socket", "pid", msg.PID)
		return
	}
	conn, err := handover.FromDescriptor(fds[0])
	if err != nil {
		m.log.Warn("cannot adopt an older generation", "pid", msg.PID, "error", err)
		return
	}
	p := predecessor.New(conn, msg.PID, msg.Generation)
	err = p.Post(handover.Message{
		Type:    handover.Retarget,
		Process: handover.Process{PID: os.Getpid(), Generation: m.service.inherited.Generation},
		Moving:  m.service.registered.receiver.Moving(),
	})
	if err != nil {
		m.log.Debug("an older generation went away while it was adopted", "pid", p.PID, "error", err)
	}
	m.listenToPredecessor(p)
	m.reportProgress()
	m.hurryOldest()
}

// forgetPredecessor forgets an older generation that is gone. If it was the
// direct predecessor, and died before it made this process the main one, this
// process becomes the main one: no other is left to serve.
func (m *mainLoop) forgetPredecessor(p *predecessor.Predecessor) {
	p.Close()
	m.predecessors.Remove(p)
	m.log.Debug("an older generation is gone", "generation", p.Generation, "pid", p.PID)
	switch {
	case p != m.service.inherited.Predecessor:
		return
	case m.state != Starting:
		m.checkBeside()
		return
	}
	m.log.Warn("the predecessor died while it handed over", "pid", p.PID)
	if m.tasks.serving == 0 {
		m.serve()
	}
	m.becomeMain(nil, false)
}

// hurryOldest keeps the number of draining generations within bounds.
func (m *mainLoop) hurryOldest() {
	if m.predecessors.Len() <= m.options.MaxPredecessors {
		return
	}
	oldest := m.predecessors.Oldest()
	m.log.Warn("too many generations drain: hurrying the oldest", "generation", oldest.Generation, "pid", oldest.PID)
	_ = oldest.Post(handover.Message{Type: handover.Deadline, Left: hurryTimeout})
}
