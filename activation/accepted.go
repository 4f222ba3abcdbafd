package activation

import (
	"fmt"
	"net"
	"strings"
)

// defaultConnection is what service managers call the connection of Accept=yes
// where nobody named it.
const defaultConnection = "connection"

// Connection returns the connection this process was started to serve, by a
// socket unit with Accept=yes or by systemd-socket-activate --accept: the
// connected socket named "connection" or, where nothing has that name, the one
// stream socket that was accepted, whatever its name. systemd calls it by the
// socket unit's FileDescriptorName= since version 257. Where a listener was
// handed as well, only the name counts.
//
// Its RemoteAddr is the socket's own; where the socket cannot tell, because the
// other end has gone or has no name, it is REMOTE_ADDR and REMOTE_PORT
// (systemd.exec(5)), and nil without those.
//
// Errors match fs.ErrNotExist (not started that way), [ErrWrongType],
// [ErrAmbiguous] if several could be it, [ErrClaimed], os.ErrClosed, and
// [ErrMalformed] if REMOTE_ADDR or REMOTE_PORT is needed and cannot be read;
// the connection then stays in the table. The types are those of [Table.Conns],
// or one that embeds *net.TCPConn or *net.UnixConn where the variables were
// needed. The caller owns it.
func (t *Table) Connection() (net.Conn, error) {
	e, err := t.claimConnection()
	if err != nil {
		return nil, err
	}
	remote, err := e.remote(t.remoteAddr, t.remotePort)
	if err != nil {
		t.release(e)
		return nil, err
	}
	conn, err := e.conn()
	if err != nil || remote == nil {
		return conn, err
	}
	return withRemote(conn, remote), nil
}

// claimConnection claims the connection this process was started to serve.
//
// Its name says little: systemd 252 calls it "connection" whatever the socket
// unit says, newer ones use the unit's FileDescriptorName=, and
// systemd-socket-activate --accept uses --fdname=, or gives no names. So where
// nothing has that name it is found by what it is: the one socket that somebody
// accepted. With Accept=yes the process gets it in place of the listener, so
// where a listener was handed there is none.
func (t *Table) claimConnection() (*entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	accepted := t.acceptedLocked()
	switch {
	case t.has(defaultConnection) || len(accepted) == 0:
		fit, err := t.fittingLocked(defaultConnection, connections())
		if err != nil {
			return nil, err
		}
		accepted = fit[:1]
	case len(accepted) > 1:
		return nil, ambiguousConnection(accepted)
	}
	switch e := accepted[0]; {
	case e.closed:
		return nil, closedUnclaimed(e.Name)
	case e.Claimed:
		return nil, allClaimed(e.Name)
	default:
		e.Claimed = true
		return e, nil
	}
}

// acceptedLocked returns the sockets that look as if they came from accept(2),
// claimed or not, unless there is a listener. Those have an address here, which
// is the listener's. The Unix sockets of OpenFile= have none, since systemd
// connects them without bind(2); neither have those of socketpair(2), as in a
// descriptor store.
func (t *Table) acceptedLocked() []*entry {
	var accepted []*entry
	for _, e := range t.entries {
		switch {
		case e.Listening:
			return nil
		case isStream(e.Network) && e.Address != "":
			accepted = append(accepted, e)
		}
	}
	return accepted
}

func ambiguousConnection(accepted []*entry) error {
	var all []string
	for _, e := range accepted {
		all = append(all, e.String())
	}
	return fmt.Errorf("activation: none of the connections is named %q, and there are %d: %s: %w",
		defaultConnection, len(accepted), strings.Join(all, ", "), ErrAmbiguous)
}
