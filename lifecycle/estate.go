package lifecycle

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// An estate is what a generation left that is gone: a handover socket with all that it queued there. It came from the file
// descriptor store, or by re-exec in place.
//
// New only looks at it. A process that fails to become ready leaves it as it was, to the next one.
type estate struct {
	conn       *handover.Conn
	name       string // in the store, "" if it was never there
	generation int
	settled    bool
}

// storedName is the name of what a generation has in the file descriptor store. Each has its own, so that the successor's is
// stored before the predecessor's is removed.
func storedName(generation int) string {
	return activation.HandoverName + "-" + strconv.Itoa(generation)
}

// storedGeneration is the reverse of storedName.
func storedGeneration(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, activation.HandoverName+"-")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n > 0 && storedName(n) == name
}

// findEstates claims every estate among the files that this process was started with.
func (s *Service) findEstates() {
	seen := map[string]bool{}
	for _, f := range s.table.Files() {
		generation, ok := storedGeneration(f.Name)
		if !ok || seen[f.Name] {
			continue
		}
		seen[f.Name] = true
		conns, err := s.table.Conns(f.Name)
		if err != nil {
			s.log.Warn("left alone what has the name of a handover socket", "file", f, "error", err)
			continue
		}
		for _, nc := range conns {
			unixConn, ok := nc.(*net.UnixConn)
			if !ok {
				_ = nc.Close()
				continue
			}
			s.estates = append(s.estates, &estate{conn: handover.NewConn(unixConn), name: f.Name, generation: generation})
		}
	}
	s.survey()
}

// survey learns from the estates what there was: generation, listeners, state. One that cannot be understood is left in the
// store, for a version of this program that can.
func (s *Service) survey() {
	newest := 0
	s.estates = slices.DeleteFunc(s.estates, func(e *estate) bool {
		s.generation = max(s.generation, e.generation+1)
		var foreign error
		whole := false // else a process died that had begun to settle, and state is not handed down over a crash
		err := e.conn.Peek(func(m handover.Message, fds []int) {
			switch m.Type {
			case handover.Inheritance:
				foreign = m.Compatible()
				whole, e.generation = foreign == nil, m.Generation
				s.generation = max(s.generation, m.Generation+1)
				if whole && m.Generation >= newest {
					newest, s.handed = m.Generation, m.Bound
				}
			case handover.State:
				if whole {
					s.inheritState(m, fds)
					return
				}
			case handover.Main:
				s.outcome = m.Outcome
			case handover.Stop:
				s.stopAsked = true
			}
			closeDescriptors(fds)
		})
		if err = errors.Join(err, foreign); err == nil {
			return false
		}
		s.log.Error("left alone what an earlier process queued", "file", e.name, "error", err)
		s.foreign = append(s.foreign, e.name)
		_ = e.conn.Close()
		return true
	})
}

// settleEstates takes over what predecessors left that are gone.
func (m *machine) settleEstates() {
	for _, e := range m.estates {
		m.workers.Go(func() { m.settleOne(e) })
	}
}

func (m *machine) settleOne(e *estate) {
	m.settle(e)
	select {
	case m.settled <- e:
	case <-m.gone:
	}
}

// settle takes over the connections that e holds.
func (s *Service) settle(e *estate) {
	defer e.conn.Close()
	taken := 0
	for {
		m, fds, err := e.conn.TryReceive()
		switch {
		case errors.Is(err, handover.ErrMalformed):
			s.log.Warn("skipped what is no message", "generation", e.generation, "error", err)
			continue
		case errors.Is(err, handover.ErrTruncated):
			s.log.Warn("too many open files: cannot take all that was queued", "type", m.Type, "taken", len(fds))
		case err != nil: // the end, or a process of that generation lives on and has no more for now
			s.log.Info("took over connections", "generation", e.generation, "connections", taken)
			return
		}
		if m.Type != handover.Connections {
			closeDescriptors(fds)
			continue
		}
		server := s.serverFor(m)
		if server == nil {
			s.log.Warn("nothing serves these connections any more: closing them", "listener", m.Listener, "connections", len(fds))
		}
		conns := s.arrivals(server, m, fds)
		receiveAll(server, m, conns)
		taken += len(conns)
		s.atStep("settle")
	}
}
