package activation

import (
	"fmt"
	"strconv"
)

// File describes one file that was handed to this process. It is a copy: it
// owns nothing and changes nothing.
type File struct {
	// Name is what the service manager or the predecessor called the file: the
	// FileDescriptorName= of a socket unit, the name in OpenFile=, "connection"
	// for Accept=yes where the unit gives no name (and before systemd 257
	// always), "stored" or the FDNAME= of the descriptor store, "unknown" if it
	// gave no names. It need not be unique and may be empty.
	Name string

	// FD is the descriptor number the file was handed as. Once the file is
	// claimed or closed, the number may mean something else: it serves messages
	// only.
	FD int

	// Network is what kind of file it is: "tcp" (MPTCP as well), "udp", "sctp",
	// "ip", "unix", "unixgram", "unixpacket", "vsock", "netlink", "socket" for
	// any other one, "fifo", "file", "directory", "char", "block", "mqueue", or
	// "anon" for files without a place, like an eventfd.
	Network string

	// Address is where a socket is bound, as net.Addr prints it ("" if it is
	// not, "@" in front of an abstract Unix name, see [VsockAddr] for vsock),
	// and the path of another file, if /proc is there to tell.
	Address string

	// Peer is the address at the other end of a connected socket, "" without
	// one and for an unnamed Unix socket.
	Peer string

	// Listening says that connections can be accepted from it (SO_ACCEPTCONN,
	// socket(7)).
	Listening bool

	// Claimed says that the table has given the file away. The handover socket
	// counts as claimed from the start.
	Claimed bool

	family family
}

// family tells "tcp4" from "tcp6"; the kernel's numbers do not exist
// everywhere.
type family int

const (
	familyOther family = iota
	familyIPv4
	familyIPv6
)

// String describes the file in a few words, for status pages and errors:
//
//	"web" (fd 3, tcp listener, 127.0.0.1:80)
func (f File) String() string {
	what := f.Network
	switch {
	case f.Listening:
		what += " listener"
	case f.Peer != "":
		what += " connection from " + f.Peer
	case isStream(f.Network):
		what += " socket, not listening"
	case isSocket(f.Network):
		what += " socket"
	}
	address := f.Address
	if address == "" {
		address = "no address"
	}
	return strconv.Quote(f.Name) + fmt.Sprintf(" (fd %d, %s, %s)", f.FD, what, address)
}

// Is says whether the file is a socket of the network as [Table.Listen] and
// [Table.ListenPacket] understand it: "tcp" is one of either IP version, "tcp4"
// and "tcp6" are not.
func (f File) Is(network string) bool {
	base, version := splitNetwork(network)
	switch version {
	case "4":
		return f.Network == base && f.family == familyIPv4
	case "6":
		return f.Network == base && f.family == familyIPv6
	}
	return f.Network == base
}
