package transfer

import (
	"errors"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// queuedPatience is how long connections that an earlier process queued may
// wait for room. Nobody serves those clients meanwhile.
const queuedPatience = 10 * time.Second

// TakeQueued takes over what is in a Queue of that generation, until there is
// nothing more. It owns conn, which is the end to be read. There may be no room
// for a message: TakeQueued waits for it, but not for ever, and no longer than
// until over is closed. After each message of connections it calls next.
func (r *Receiver) TakeQueued(conn *handover.Conn, generation int, over <-chan struct{}, next func()) {
	defer conn.Close()
	taken := 0
	var lack lack
	for {
		m, fds, err := r.nextQueued(conn, generation, over, &lack)
		switch {
		case errors.Is(err, handover.ErrMalformed):
			r.log.Warn("ignoring malformed handover message", "generation", generation, "error", err)
			continue
		case errors.Is(err, handover.ErrTruncated):
			r.log.Error("too many open files: connections that were queued are lost", "type", m.Type, "taken", len(fds),
				"RLIMIT_NOFILE", fdutil.Limit())
		case err != nil: // the end, or a process of that generation lives on and has no more for now
			r.log.Info("took over connections", "generation", generation, "connections", taken)
			return
		}
		if m.Type != handover.Connections {
			fdutil.CloseAll(fds)
			continue
		}
		server := r.serverFor(m)
		if server == nil {
			r.log.Warn("nothing serves these connections any more: closing them", "listener", nameIn(m), "connections", len(fds))
		}
		conns := r.arrivals(server, m, fds)
		receiveAll(server, m, conns)
		taken += len(conns)
		next()
	}
}

// nextQueued is a TryReceive that waits for room, but not for ever.
func (r *Receiver) nextQueued(conn *handover.Conn, generation int, over <-chan struct{}, lack *lack) (handover.Message, []int, error) {
	for patient := true; ; patient = lack.wait(over) {
		m, fds, err := conn.TryReceiveWhole()
		switch {
		case !errors.Is(err, handover.ErrTruncated):
			lack.ends()
			return m, fds, err
		case !patient, lack.lasts() > queuedPatience:
			m, fds, err = conn.TryReceive()
			if n := len(fds); n > 0 { // each needs one more for a moment
				fdutil.CloseAll(fds[n-1:])
				fds = fds[:n-1]
			}
			return m, fds, err
		}
		if !lack.told {
			r.log.Warn("no room yet for connections that were queued: waiting until others end", "generation", generation,
				"RLIMIT_NOFILE", fdutil.Limit())
		}
	}
}
