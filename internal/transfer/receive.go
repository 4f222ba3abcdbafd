package transfer

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/ledger"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// A Server serves connections that another process has accepted.
type Server struct {
	Endpoint *conntrack.Endpoint // where they would have been accepted here
	Receive  func(Arrival)       // owns the connection

	// ReceiveKept is Receive for a connection of a process that has died. It
	// owns it if it returns true. It is nil where there are none.
	ReceiveKept func(*ledger.Found) bool

	// AnswerLost is called with such a connection of which a request was read,
	// and nothing written since. It ends it if it returns true. It is nil where
	// such connections are closed.
	AnswerLost func(*ledger.Found) bool
}

// An Arrival is a connection that another process has accepted, with what that
// process knew of it.
type Arrival struct {
	Conn net.Conn
	Wait conntrack.Wait
	Left []byte // by its handler there, of kind conntrack.Streams; the state of a session, of conntrack.HTTPS; both of conntrack.SecureStreams
}

// A Receiver has connections that arrive served. Goroutines may share it.
type Receiver struct {
	servers []Server
	log     hclog.Logger
	noRoom  sync.Once // it was logged that connections stay with a predecessor
}

// NewReceiver makes a Receiver for connections of servers.
func NewReceiver(servers []Server, log hclog.Logger) *Receiver {
	return &Receiver{servers: servers, log: log}
}

// Moving returns the names of the listeners whose connections may move here, for
// a process that has some. See Peer.SetTarget.
func (r *Receiver) Moving() (here handover.Moving) {
	for _, server := range r.servers {
		e := server.Endpoint
		if !e.Movable {
			continue
		}
		switch e.Kind {
		case conntrack.Streams:
			here.Streams = append(here.Streams, e.Name)
		case conntrack.HTTPS:
			here.Sessions, here.SessionFormat = append(here.Sessions, e.Name), tlsmove.Format
		case conntrack.SecureStreams:
			here.SecureStreams, here.SessionFormat = append(here.SecureStreams, e.Name), tlsmove.Format
		default:
			here.Listeners = append(here.Listeners, e.Name)
		}
	}
	return here
}

// errNoRoom is the reason why connections that were sent here are not taken.
var errNoRoom = errors.New("too many open files")

// acknowledgePatience is how long an answer for connections that were sent here
// may find no memory.
const acknowledgePatience = 5 * time.Second

// Next receives when there is room for an answer, for connections that arrive
// must be acknowledged by their receiver. Of connections it returns as many as
// this process has room for, and an error that matches handover.ErrTruncated:
// the predecessor has the others. A queue may come without its descriptor.
// Another message waits until there is room for the whole of it, or released is
// closed.
func Next(conn *handover.Conn, released <-chan struct{}) (handover.Message, []int, error) {
	var lack lack
	for {
		if err := conn.AwaitRoom(); err != nil {
			return handover.Message{}, nil, err
		}
		m, fds, err := conn.ReceiveWhole()
		switch {
		case !errors.Is(err, handover.ErrTruncated):
			return m, fds, err
		case m.Type == handover.Connections, m.Type == handover.Queue:
			return conn.Receive()
		}
		lack.wait(released)
	}
}

// Take takes over the connections of m, whose descriptors it owns, as many as
// it can. It acknowledges them first: until then the sender holds on to them,
// and a connection that the sender must take back may not have been served
// here. Short says that there was not room for all.
//
// If the predecessor, which is process pid, lives and cannot be told, the
// connections stay its own, and Take returns false. Its socket must then be
// closed, which tells it so. It would take the next acknowledgement for that of
// these connections. Take does not wait for memory once released is closed.
func (r *Receiver) Take(conn *handover.Conn, released <-chan struct{}, pid int, m handover.Message, fds []int, short bool) bool {
	all := len(fds)
	if !m.TLS { // of those it was asked before: see answer
		fds = keepSpare(conn, fds)
	}
	short = short || len(fds) < all
	server := r.serverFor(m)
	conns := r.arrivals(server, m, fds)
	accepted := handover.Message{Type: handover.Accepted, Count: len(conns)}
	if short {
		accepted.Reason = errNoRoom.Error()
	}
	if isQuestion(m, fds) {
		accepted = r.answer(conn, m)
	}
	if accepted.Reason != "" {
		r.noRoom.Do(func() {
			r.log.Warn("no room for connections: they stay with the predecessor for now", "pid", pid,
				"RLIMIT_NOFILE", fdutil.Limit())
		})
	}
	switch err := acknowledge(conn, conn.TrySend, accepted, released); {
	case errors.Is(err, syscall.EPIPE):
		r.log.Debug("predecessor went away while it handed over connections", "pid", pid, "error", err)
	case err != nil:
		r.log.Warn("cannot tell the predecessor that its connections arrived: they are still its own", "pid", pid, "error", err)
		for _, nc := range conns {
			_ = nc.Close()
		}
		m.Forget()
		return false
	}
	receiveAll(server, m, conns)
	return true
}

// acknowledge sends the answer for connections, by send. Their clients wait, but
// nobody serves them yet, so it waits for room in conn, and a while for memory.
func acknowledge(conn *handover.Conn, send SendFunc, accepted handover.Message, released <-chan struct{}) error {
	var lack lack
	for {
		err := send(accepted)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			if err := conn.AwaitRoom(); err != nil {
				return err
			}
		case !fdutil.IsShortage(err), lack.lasts() > acknowledgePatience, !lack.wait(released):
			return err
		}
	}
}

// arrivals makes connections of the descriptors of m, which it owns, for
// server, which is nil if nothing here serves them.
func (r *Receiver) arrivals(server *Server, m handover.Message, fds []int) []net.Conn {
	if server == nil {
		fdutil.CloseAll(fds)
		return nil
	}
	conns := make([]net.Conn, 0, len(fds))
	mould := new(handover.Mould)
	if len(fds) > 1 {
		mould = handover.NewMould()
		defer mould.Close()
	}
	for i, fd := range fds {
		nc, err := mould.NetConn(fd)
		if err != nil {
			r.log.Warn("cannot take over a connection", "listener", nameIn(m), "error", err)
			fdutil.CloseAll(fds[i+1:])
			break
		}
		conns = append(conns, nc)
	}
	return conns
}

func receiveAll(server *Server, m handover.Message, conns []net.Conn) {
	now := time.Now()
	for i, nc := range conns {
		a := Arrival{Conn: nc, Wait: waitOf(m, i, now)}
		if i < len(m.States) {
			a.Left = m.States[i]
		}
		server.Receive(a)
	}
	if m.TLS { // those of connections that found no room
		for _, state := range m.States[min(len(conns), len(m.States)):] {
			clear(state)
		}
	}
}

// kindOf returns the kind of the endpoint of the connections of m.
func kindOf(m handover.Message) conntrack.Kind {
	switch {
	case m.SecureStream != "":
		return conntrack.SecureStreams
	case m.Stream:
		return conntrack.Streams
	case m.TLS:
		return conntrack.HTTPS
	default:
		return conntrack.HTTP
	}
}

// nameIn returns the name of the listener of the connections of m.
func nameIn(m handover.Message) string {
	if m.SecureStream != "" {
		return m.SecureStream
	}
	return m.Listener
}

// serverFor finds the server for connections accepted on a listener: by name,
// and by address if a name repeats. It returns nil if there is none.
func (r *Receiver) serverFor(m handover.Message) *Server {
	var found *Server
	for i := range r.servers {
		server := &r.servers[i]
		e := server.Endpoint
		if !e.Movable || e.Name != nameIn(m) || e.Kind != kindOf(m) {
			continue
		}
		if e.Listener.Addr().String() == m.Address {
			return server
		}
		if found == nil {
			found = server
		}
	}
	return found
}
