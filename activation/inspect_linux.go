package activation

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// mqueueMagic is MQUEUE_MAGIC of the kernel's ipc/mqueue.c.
const mqueueMagic = 0x19800202

// inspect finds out what the descriptor is. It changes nothing.
func inspect(fd int, name string) (*entry, error) {
	e := &entry{File: File{Name: name, FD: fd}, fd: fd}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, fmt.Errorf("activation: %q (fd %d): %w", name, fd, os.NewSyscallError("fstat", err))
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFSOCK {
		e.Network = fileKind(fd, stat.Mode)
		e.Address, _ = os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		return e, nil
	}
	if err := inspectSocket(e); err != nil {
		return nil, fmt.Errorf("activation: %q (fd %d): %w", name, fd, os.NewSyscallError("getsockopt", err))
	}
	return e, nil
}

func fileKind(fd int, mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFIFO:
		return "fifo"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFCHR:
		return "char"
	case unix.S_IFBLK:
		return "block"
	case unix.S_IFREG:
		var fsStat unix.Statfs_t
		if unix.Fstatfs(fd, &fsStat) == nil && uint32(fsStat.Type) == mqueueMagic {
			return "mqueue"
		}
		return "file"
	}
	return "anon"
}

func inspectSocket(e *entry) error {
	var options [4]int
	for i, option := range []int{unix.SO_DOMAIN, unix.SO_TYPE, unix.SO_PROTOCOL, unix.SO_ACCEPTCONN} {
		value, err := unix.GetsockoptInt(e.fd, unix.SOL_SOCKET, option)
		if err != nil {
			return err
		}
		options[i] = value
	}
	e.Network, e.family = socketKind(options[0], options[1], options[2])
	e.Listening = options[3] != 0
	// Address families that x/sys does not know and peers that are gone have no
	// address to show, and need none.
	if local, err := unix.Getsockname(e.fd); err == nil {
		e.Address = addressOf(local, e.Network)
	}
	if peer, err := unix.Getpeername(e.fd); err == nil {
		e.Peer = addressOf(peer, e.Network)
	}
	return nil
}

func socketKind(domain, kind, protocol int) (string, family) {
	switch domain {
	case unix.AF_INET:
		return inetKind(kind, protocol), familyIPv4
	case unix.AF_INET6:
		return inetKind(kind, protocol), familyIPv6
	case unix.AF_UNIX:
		return unixKind(kind), familyOther
	case unix.AF_NETLINK:
		return "netlink", familyOther
	case unix.AF_VSOCK:
		if kind == unix.SOCK_STREAM {
			return "vsock", familyOther
		}
	}
	return "socket", familyOther
}

func inetKind(kind, protocol int) string {
	switch {
	case protocol == unix.IPPROTO_SCTP:
		return "sctp"
	case kind == unix.SOCK_STREAM: // IPPROTO_TCP or IPPROTO_MPTCP, which serve alike
		return "tcp"
	case kind == unix.SOCK_DGRAM:
		return "udp"
	case kind == unix.SOCK_RAW:
		return "ip"
	}
	return "socket"
}

func unixKind(kind int) string {
	switch kind {
	case unix.SOCK_DGRAM:
		return "unixgram"
	case unix.SOCK_SEQPACKET:
		return "unixpacket"
	}
	return "unix"
}

func addressOf(address unix.Sockaddr, network string) string {
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return inetAddress(a.Addr[:], a.Port, 0, network)
	case *unix.SockaddrInet6:
		return inetAddress(a.Addr[:], a.Port, a.ZoneId, network)
	case *unix.SockaddrUnix:
		if a.Name == "@" { // how x/sys writes a socket without a name
			return ""
		}
		return a.Name
	case *unix.SockaddrVM:
		return VsockAddr{CID: a.CID, Port: a.Port}.String()
	}
	return ""
}

func inetAddress(ip net.IP, port int, zone uint32, network string) string {
	name := ""
	if zone != 0 {
		name = strconv.FormatUint(uint64(zone), 10)
		if ifi, err := net.InterfaceByIndex(int(zone)); err == nil {
			name = ifi.Name
		}
	}
	if network == "ip" {
		return (&net.IPAddr{IP: ip, Zone: name}).String()
	}
	return (&net.TCPAddr{IP: ip, Port: port, Zone: name}).String()
}
