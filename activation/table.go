package activation

import (
	"errors"
	"net"
	"os"
	"sync"
)

// Table is what this process was handed: named files, each of which is claimed at most once. It owns the descriptors
// that nobody has claimed; whoever claims one owns it. [Inherit] makes it; the zero Table was handed nothing, so its
// Listen methods always bind. A Table may be used from several goroutines at once, and must not be copied.
//
// A claim that fails because of what the file is, its name or its address leaves the file in the table. If the system
// has no room for the file (EMFILE, ENOMEM), it is closed.
type Table struct {
	mu       sync.Mutex // guards Claimed and closed of the entries, and handover
	entries  []*entry
	handover *net.UnixConn

	predecessor int
	remoteAddr  string
	remotePort  string
	ignored     error
}

// entry is a file and the descriptor the table holds for it, which is valid until the file is claimed or closed.
type entry struct {
	File
	fd     int
	closed bool
}

// Files describes the files that were handed, in descriptor order, whether they were claimed or not. The list is the
// caller's. After Close it is still there: unclaimed files are the ones that were closed.
func (t *Table) Files() []File {
	t.mu.Lock()
	defer t.mu.Unlock()
	files := make([]File, 0, len(t.entries))
	for _, e := range t.entries {
		files = append(files, e.File)
	}
	return files
}

// Listen returns the listener that was handed under the name, or [Bind](network, address) if no file of that name was
// handed. The networks are those of Bind, and "tcp" accepts a socket of either IP version.
//
// Of the unclaimed files of that name, only listeners of that network count. If there is one, it is returned whatever
// its address, because the socket unit decides. If there are several, the one bound to address is; of several bound to
// the same address (SO_REUSEPORT), the first. A host name in the address is looked up in that case only, in the way
// of net.ResolveTCPAddr. No host (":80") means a socket bound to any address.
//
// Errors match [ErrWrongType] if what is there is something else, [ErrAmbiguous] if the address picks none of several,
// [ErrClaimed] if all were claimed before, os.ErrClosed if they were closed by Close, net.UnknownNetworkError for a
// network that cannot be, and otherwise are those of Bind.
//
// The caller owns the listener. A handed one never unlinks its Unix path on Close; (*net.UnixListener).SetUnlinkOnClose
// changes that. The types are *net.TCPListener, *net.UnixListener and *[VsockListener].
func (t *Table) Listen(name, network, address string) (net.Listener, error) {
	if err := checkNetwork(network, isStream); err != nil {
		return nil, err
	}
	if !t.has(name) {
		return Bind(network, address)
	}
	e, err := t.claimOne(name, listeners(network), network, address)
	if err != nil {
		return nil, err
	}
	return e.listener()
}

// ListenPacket is like [Table.Listen] for "udp", "udp4", "udp6", "unixgram" and the "ip" networks of net.ListenPacket, with
// [BindPacket] where nothing was handed. The types are *net.UDPConn, *net.IPConn, and for "unixgram" *net.UnixConn when
// it was handed, *[UnixPacketConn] when it was bound here.
func (t *Table) ListenPacket(name, network, address string) (net.PacketConn, error) {
	if err := checkNetwork(network, isPacket); err != nil {
		return nil, err
	}
	if !t.has(name) {
		return BindPacket(network, address)
	}
	e, err := t.claimOne(name, packets(network), network, address)
	if err != nil {
		return nil, err
	}
	return e.packetConn()
}

// Listeners returns all unclaimed listeners of that name, of any network, in descriptor order. It never binds: a name
// that was not handed is an error matching fs.ErrNotExist. The other errors are those of [Table.Listen], and on any
// error nothing is returned that the caller would have to close.
func (t *Table) Listeners(name string) ([]net.Listener, error) {
	return claimAll(t, name, listeners(""), (*entry).listener)
}

// PacketConns is like [Table.Listeners] for datagram sockets.
func (t *Table) PacketConns(name string) ([]net.PacketConn, error) {
	return claimAll(t, name, packets(""), (*entry).packetConn)
}

// Conns is like [Table.Listeners] for connected sockets: those of Accept=yes, of OpenFile= with the path of a Unix
// socket, and what an earlier process left in the descriptor store. For the one of Accept=yes, [Table.Connection] knows
// more about the other end. The types are *net.TCPConn, *net.UDPConn, *net.UnixConn and *[VsockConn].
func (t *Table) Conns(name string) ([]net.Conn, error) {
	return claimAll(t, name, connections(), (*entry).conn)
}

// OpenFile returns the first unclaimed file of that name that is no socket of the kinds the other methods return: a
// FIFO, a device, a plain file or directory, a message queue, a netlink socket. Called again, it returns the next. FIFOs,
// message queues and sockets are non-blocking, so a Read waits in Go's poller and obeys deadlines. The file's Name is
// its path where /proc tells it, else the name it was handed under.
//
// Errors match fs.ErrNotExist, [ErrWrongType], [ErrClaimed] and os.ErrClosed as for [Table.Listeners]. The caller owns the
// file.
func (t *Table) OpenFile(name string) (*os.File, error) {
	e, err := t.claimFirst(name, plainFiles())
	if err != nil {
		return nil, err
	}
	return e.openFile()
}

// Connection returns the connection this process was started to serve by a socket unit with Accept=yes: the connected
// socket named "connection". Its RemoteAddr is the socket's own; where the socket cannot tell, because the other end has
// gone or has no name, it is REMOTE_ADDR and REMOTE_PORT (systemd.exec(5)), and nil without those.
//
// Errors match fs.ErrNotExist (not started that way), [ErrWrongType], [ErrClaimed], os.ErrClosed, and [ErrMalformed] if
// REMOTE_ADDR or REMOTE_PORT is needed and cannot be read; the connection then stays in the table. The types are those of
// [Table.Conns], or one that embeds *net.TCPConn or *net.UnixConn where the variables were needed. The caller owns it.
func (t *Table) Connection() (net.Conn, error) {
	e, err := t.claimFirst("connection", connections())
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

// Predecessor returns the handover socket, whose other end the predecessor made, and the predecessor's pid; nil and 0
// when this process was started by something else. The caller owns the socket, so a second call returns nil with the
// pid, as do calls after [Table.Close], which closes it if nobody took it.
func (t *Table) Predecessor() (handover *net.UnixConn, pid int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	handover, t.handover = t.handover, nil
	return handover, t.predecessor
}

// Ignored says why the variables this process was started with were set aside, for a log line: they name another
// process, or a predecessor that did not prove itself. It is nil if they were not, or if there were none.
func (t *Table) Ignored() error {
	return t.ignored
}

// Close closes every file that nobody claimed, the handover socket included; call it when the service is ready. Files
// that were claimed are not affected. Afterwards a claim of a closed name matches os.ErrClosed, while Listen and its
// kin still bind under names that were never handed. A second call does nothing.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, e := range t.entries {
		if !e.Claimed && !e.closed {
			e.closed = true
			errs = append(errs, e.close())
		}
	}
	if t.handover != nil {
		errs = append(errs, t.handover.Close())
		t.handover = nil
	}
	return errors.Join(errs...)
}
