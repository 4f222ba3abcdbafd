package units

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
)

// A Socket is what systemd listens on for the daemon, in a unit of its own:
// that of the first socket is named as the service, hello.socket, and of any
// other after both, hello-admin.socket.
type Socket struct {
	// Name is the one by which the daemon asks for it (FileDescriptorName=):
	// service.Listen("http", ...).
	Name string

	// Addresses are where to listen: "0.0.0.0:8080", ":8080" for all
	// addresses of either family, "[::1]:8080", a path such as
	// "/run/hello.sock", or "@name" for an abstract Unix socket. The
	// network may come first, as package net names it: tcp, udp, unix,
	// unixgram or unixpacket, as in "udp:127.0.0.1:53". The default is tcp,
	// and unix for a value that looks like a path. "vsock:PORT" is for
	// virtual machines.
	//
	// The daemon gets a listener for each. "0.0.0.0:8080" and "[::]:8080" have
	// one family each, also in two Sockets: BindIPv6Only=ipv6-only says so,
	// which is for all addresses of the socket. Two addresses of the service
	// that cannot be had at a time are refused: "127.0.0.1:8080" is a part of
	// ":8080", and of "0.0.0.0:8080".
	Addresses []string

	// Backlog is how many connections may wait to be accepted, as they do
	// while the service restarts. The default is 4096. The kernel uses the
	// smaller of this and net.core.somaxconn.
	Backlog int

	// Mode, User and Group are those of a Unix socket's file. The defaults are
	// systemd's: 0666, root, root.
	Mode        fs.FileMode
	User, Group string

	// FreeBind allows addresses that this machine does not have yet.
	FreeBind bool

	// Settings are further lines for the section Socket, or for Unit or
	// Install.
	Settings []Setting
}

const defaultBacklog = 4096

// A listen is a line such as ListenStream=0.0.0.0:8080.
type listen struct{ setting, value string }

// networks are those of package net that a socket unit can name.
var networks = map[string]string{
	"tcp": "ListenStream", "udp": "ListenDatagram", "vsock": "ListenStream",
	"unix": "ListenStream", "unixgram": "ListenDatagram", "unixpacket": "ListenSequentialPacket",
}

// parseAddress returns the setting for an address of Socket.Addresses.
func parseAddress(text string) (listen, error) {
	network, address, found := strings.Cut(text, ":")
	setting, known := networks[network]
	if !found || !known {
		network, address = "tcp", text
		if strings.HasPrefix(text, "/") || strings.HasPrefix(text, "@") || isBelowSpecifier(text) {
			network = "unix"
		}
		setting = networks[network]
	}
	var err error
	switch network {
	case "tcp", "udp":
		address, err = internetAddress(address)
	case "vsock":
		if _, err = strconv.ParseUint(address, 10, 32); err != nil || address[0] == '0' && len(address) > 1 {
			err = errors.New("it is not a port of vsock(7)")
		}
		address = "vsock::" + address
	default:
		if !strings.HasPrefix(address, "@") && !isPath(address) && !isBelowSpecifier(address) || len(address) < 2 {
			err = errors.New("the path of a Unix socket is absolute, without .. and the like, or starts with @")
		}
	}
	if err != nil {
		return listen{}, err
	}
	return listen{setting, address}, nil
}

// internetAddress returns an address and port as systemd reads it, which is a
// port alone for all addresses. An instance may be in either, as %i.
func internetAddress(address string) (string, error) {
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 {
		return "", errors.New("no port")
	}
	host, port := address[:colon], address[colon+1:]
	if !strings.Contains(port, "%") {
		// With a zero before it systemd reads an octal one.
		if _, err := strconv.ParseUint(port, 10, 16); err != nil || port[0] == '0' {
			return "", fmt.Errorf("port %q is not a number from 1 to 65535", port)
		}
	}
	if host == "" {
		return port, nil
	}
	bare, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		bare, bracketed = strings.CutSuffix(bare, "]")
	}
	if strings.Contains(host, "%") {
		return address, nil
	}
	ip, err := netip.ParseAddr(bare)
	if err != nil || ip.Is6() != bracketed {
		return "", fmt.Errorf("%q is not an IP address (an IPv6 address needs brackets): systemd does not look up names", host)
	}
	return address, nil
}

// path is that of the Unix socket, or empty.
func (l listen) path() string {
	if strings.HasPrefix(l.value, "/") || isBelowSpecifier(l.value) {
		return l.value
	}
	return ""
}

// isBelowSpecifier reports whether a path begins with a folder of the service
// manager, such as %t, which is /run, or a user's own.
func isBelowSpecifier(path string) bool {
	return len(path) > 2 && path[0] == '%' && strings.IndexByte("CEhLStTV", path[1]) >= 0 && isPath(path[2:])
}
