package activation

import (
	"net"
	"os"
)

// Listen returns the listener that was handed under the name, or
// [Bind](network, address) if no file of that name was handed. The networks are
// those of Bind, and "tcp" accepts a socket of either IP version.
//
// Of the unclaimed files of that name, only listeners of that network count. If
// there is one, it is returned whatever its address, because the socket unit
// decides. If there are several, the one bound to address is; of several bound
// to the same address (SO_REUSEPORT), the first. A host name in the address is
// looked up in that case only, in the way of net.ResolveTCPAddr. No host
// (":80") means a socket bound to any address. Where it is 0.0.0.0:80 and
// [::]:80, that picks neither: [Table.Listeners] and [Table.ListenGroup] return
// both.
//
// Errors match [ErrWrongType] if what is there is something else,
// [ErrAmbiguous] if the address picks none of several, [ErrClaimed] if all were
// claimed before, os.ErrClosed if they were closed by Close,
// net.UnknownNetworkError for a network that cannot be, and otherwise are those
// of Bind, as [Table.Explain] puts them.
//
// The caller owns the listener. A handed one never unlinks its Unix path on
// Close; (*net.UnixListener).SetUnlinkOnClose changes that. The types are
// *net.TCPListener, *net.UnixListener and *[VsockListener].
func (t *Table) Listen(name, network, address string) (net.Listener, error) {
	if err := checkNetwork(network, isStream); err != nil {
		return nil, err
	}
	if !t.has(name) {
		ln, err := Bind(network, address)
		return ln, t.Explain(name, network, address, err)
	}
	e, err := t.claimOne(name, listeners(network), network, address)
	if err != nil {
		return nil, err
	}
	return e.listener()
}

// ListenPacket is like [Table.Listen] for "udp", "udp4", "udp6", "unixgram" and
// the "ip" networks of net.ListenPacket, with [BindPacket] where nothing was
// handed. The types are *net.UDPConn, *net.IPConn, and for "unixgram"
// *net.UnixConn when it was handed, *[UnixPacketConn] when it was bound here.
func (t *Table) ListenPacket(name, network, address string) (net.PacketConn, error) {
	if err := checkNetwork(network, isPacket); err != nil {
		return nil, err
	}
	if !t.has(name) {
		conn, err := BindPacket(network, address)
		return conn, t.Explain(name, network, address, err)
	}
	e, err := t.claimOne(name, packets(network), network, address)
	if err != nil {
		return nil, err
	}
	return e.packetConn()
}

// Listeners returns all unclaimed listeners of that name, of any network, in
// descriptor order. It never binds: a name that was not handed is an error
// matching fs.ErrNotExist. The other errors are those of [Table.Listen], and on
// any error nothing is returned that the caller would have to close.
func (t *Table) Listeners(name string) ([]net.Listener, error) {
	return claimAll(t, name, listeners(""), (*entry).listener)
}

// PacketConns is like [Table.Listeners] for datagram sockets.
func (t *Table) PacketConns(name string) ([]net.PacketConn, error) {
	return claimAll(t, name, packets(""), (*entry).packetConn)
}

// Conns is like [Table.Listeners] for connected sockets: those of Accept=yes,
// of OpenFile= with the path of a Unix socket, and what an earlier process left
// in the descriptor store. For the one of Accept=yes, [Table.Connection] knows
// more about its name and about the other end. The types are *net.TCPConn,
// *net.UDPConn, *net.UnixConn and *[VsockConn].
func (t *Table) Conns(name string) ([]net.Conn, error) {
	return claimAll(t, name, connections(), (*entry).conn)
}

// OpenFile returns the first unclaimed file of that name that is no socket of
// the kinds the other methods return: a FIFO, a device, a plain file or
// directory, a message queue, a netlink socket. Called again, it returns the
// next. FIFOs, message queues and sockets are non-blocking, so a Read waits in
// Go's poller and obeys deadlines. The file's Name is its path where /proc
// tells it, else the name it was handed under.
//
// Errors match fs.ErrNotExist, [ErrWrongType], [ErrClaimed] and os.ErrClosed as
// for [Table.Listeners]. The caller owns the file.
func (t *Table) OpenFile(name string) (*os.File, error) {
	e, err := t.claimFirst(name, plainFiles())
	if err != nil {
		return nil, err
	}
	return e.openFile()
}
