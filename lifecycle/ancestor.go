package lifecycle

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// endTimeout bounds the wait for a process to end that has let go of everything.
const endTimeout = time.Second

// An ancestor is an older generation that still drains, the direct predecessor or one before it, as this process sees it
// over the handover socket.
type ancestor struct {
	conn       *handover.Conn
	pid        int
	process    *process
	generation int
	reports    chan handover.Report // answers to handover.Status, room for one
	asking     chan struct{}        // held, by a place in it, by whoever asks
	asked      bool                 // and is not answered yet; belongs to whoever holds asking
	released   chan struct{}        // closed to stop reading the socket
	read       chan struct{}        // closed when nothing reads it any more
}

func newAncestor(conn *handover.Conn, pid, generation int) *ancestor {
	return &ancestor{
		conn:       conn,
		pid:        pid,
		process:    findProcess(pid),
		generation: generation,
		reports:    make(chan handover.Report, 1),
		asking:     make(chan struct{}, 1),
		released:   make(chan struct{}),
		read:       make(chan struct{}),
	}
}

// A letter is a message for the goroutine that owns the state. The end of the socket comes as one with an error.
type letter struct {
	from        *ancestor // nil if from the heir
	message     handover.Message
	descriptors []int
	err         error
}

// listenTo serves the connections that come from a, and passes everything else on, until a is gone or let go.
func (s *Service) listenTo(a *ancestor, letters chan<- letter) {
	defer close(a.read)
	for {
		m, fds, err := a.conn.Receive()
		if errors.Is(err, handover.ErrTruncated) {
			s.log.Warn("too many open files: cannot take all that was handed over", "type", m.Type, "taken", len(fds))
			err = nil
		}
		switch {
		case err == nil && m.Type == handover.Connections:
			s.welcome(a, m, fds)
			continue
		case err == nil && m.Type == handover.Draining && m.Report != nil:
			select {
			case a.reports <- *m.Report:
			default: // nobody waits for it any more
			}
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			return // let go
		case err != nil:
			a.awaitEnd()
		}
		select {
		case letters <- letter{from: a, message: m, descriptors: fds, err: err}:
		case <-a.released: // an end-of-file shows to the next reader as well, and a reload is asked of it again
			closeDescriptors(fds)
			return
		}
		if err != nil {
			return
		}
	}
}

// awaitEnd waits until a's process, which has closed its socket, has ended. If the main process of a unit ends while others
// still do, systemd finds nobody to signal and kills what it then finds after all.
func (a *ancestor) awaitEnd() {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	_, _ = a.process.wait(ctx)
}

// welcome takes over connections, as many as it can. They are acknowledged first: until then the sender holds on to them,
// and one that it must take back may not have been served here.
func (s *Service) welcome(a *ancestor, m handover.Message, fds []int) {
	server := s.serverFor(m)
	conns := s.arrivals(server, m, fds)
	if err := a.conn.Send(handover.Message{Type: handover.Taken, Count: len(conns)}); err != nil {
		s.log.Debug("predecessor went away while it handed over connections", "pid", a.pid, "error", err)
	}
	receiveAll(server, m, conns)
}

// arrivals makes connections of the descriptors of m, which it owns, for server, which is nil if nothing here serves them.
func (s *Service) arrivals(server server, m handover.Message, fds []int) []net.Conn {
	if server == nil {
		closeDescriptors(fds)
		return nil
	}
	conns := make([]net.Conn, 0, len(fds))
	for i, fd := range fds {
		nc, err := handover.NetConn(fd)
		if err != nil {
			s.log.Warn("cannot take over a connection", "listener", m.Listener, "error", err)
			closeDescriptors(fds[i+1:])
			break
		}
		conns = append(conns, nc)
	}
	return conns
}

func receiveAll(server server, m handover.Message, conns []net.Conn) {
	for i, nc := range conns {
		var state []byte
		if i < len(m.States) {
			state = m.States[i]
		}
		server.receive(nc, state, server.at().movable)
	}
}

// serverFor finds the server for connections accepted on a listener: by name, and by address if a name repeats.
func (s *Service) serverFor(m handover.Message) server {
	var found server
	for _, server := range s.servers {
		p := server.at()
		if !p.movable || p.name != m.Listener || p.stream != m.Stream {
			continue
		}
		if p.listener.Addr().String() == m.Address {
			return server
		}
		if found == nil {
			found = server
		}
	}
	return found
}

// release stops reading a's socket, between two messages. It is called once.
func (a *ancestor) release() {
	close(a.released)
	_ = a.conn.SetReadDeadline(longAgo)
	a.process.stopWaiting()
	<-a.read
	a.process.release()
}

// give hands the socket to heir, whose ancestor a is from then on.
func (a *ancestor) give(heir *handover.Conn) error {
	a.release()
	var err error
	controlErr := a.conn.Control(func(fd int) {
		err = heir.Send(handover.Message{Type: handover.Adopt, PID: a.pid, Generation: a.generation}, fd)
	})
	_ = a.conn.Close()
	return errors.Join(err, controlErr)
}

// report asks a how far its drain is.
func (a *ancestor) report(ctx context.Context) (handover.Report, error) {
	select {
	case a.asking <- struct{}{}:
		defer func() { <-a.asking }()
	case <-ctx.Done():
		return handover.Report{}, ctx.Err()
	}
	select {
	case <-a.reports: // too late for whoever asked before
		a.asked = false
	default:
	}
	if !a.asked { // else it hangs, and should not find its queue full of questions
		if err := a.conn.Send(handover.Message{Type: handover.Status}); err != nil {
			return handover.Report{}, err
		}
		a.asked = true
	}
	select {
	case r := <-a.reports:
		a.asked = false
		return r, nil
	case <-a.read:
		return handover.Report{}, net.ErrClosed
	case <-ctx.Done():
		return handover.Report{}, ctx.Err()
	}
}
