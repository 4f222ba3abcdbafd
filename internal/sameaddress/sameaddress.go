// Package sameaddress tells which two addresses of socket units systemd cannot
// listen at side by side, and what comes of it if it is told to:
//
//	http := sameaddress.Of(unit, 257, expand)
//	http.Setting, http.Address = "ListenStream", "[::]:80"
//	if http.Then(admin) == sameaddress.Refused {
//		...
//	}
//
// The kernel decides, and the test asks it. What systemd makes of the settings
// is shown where the linter proves its rule.
package sameaddress

import (
	"net/netip"
	"path"
	"slices"
	"strings"
)

// A Place is where a socket unit listens: what there is about it that decides
// whether another one can listen there as well.
type Place struct {
	Setting string // ListenStream, or another that makes a unit listen
	Address string // its value, with specifiers replaced as far as they are known

	IPv6Only bool   // an address of IPv6 is not IPv4's as well (BindIPv6Only=)
	Device   string // the one that connections have to come by (BindToDevice=), or ""
	Network  string // the namespace, if it is not the machine's
	Protocol string // SocketProtocol=, or ""
	Reused   bool   // ReusePort=
}

// An Outcome is what comes of two places.
type Outcome int

const (
	Apart      Outcome = iota // each gets what is for it
	Refused                   // the second cannot be bound
	TakesPath                 // the second takes the path, and no client reaches the first
	OneGetsAll                // one of them gets all datagrams, as a rule the second
	Divided                   // a message goes to the one or to the other
)

// Then tells what comes of it if the other place is taken after this one.
func (p Place) Then(other Place) Outcome {
	switch {
	case p.isFile() && other.isFile():
		return p.thenFile(other)
	case p.Setting != other.Setting:
		return Apart
	}
	one, ok := p.parse()
	two, both := other.parse()
	switch {
	case ok && both:
		return p.thenInternet(other, one, two)
	case p.Address != other.Address, p.isAbstract() && p.Network != other.Network:
		return Apart
	case p.Setting == "ListenMessageQueue":
		return Divided
	case p.Setting == "ListenNetlink", p.Setting == "ListenSpecial":
		return Apart
	}
	return Refused
}

// sockets are the settings for what is bound by bind(2) to an address of a
// client's choice.
var sockets = []string{"ListenStream", "ListenDatagram", "ListenSequentialPacket"}

// isFile reports whether clients find the place in the file system, where its
// name is that of one thing, of whatever kind.
func (p Place) isFile() bool {
	return strings.HasPrefix(p.Address, "/") && (p.Setting == "ListenFIFO" || slices.Contains(sockets, p.Setting))
}

func (p Place) isAbstract() bool { return strings.HasPrefix(p.Address, "@") }

// thenFile follows socket_address_listen and fifo_address_create of systemd: a
// socket removes what is there, a FIFO has to be one already.
func (p Place) thenFile(other Place) Outcome {
	switch {
	case path.Clean(p.Address) != path.Clean(other.Address):
		return Apart
	case other.Setting != "ListenFIFO":
		return TakesPath
	case p.Setting == "ListenFIFO":
		return Divided
	}
	return Refused
}

// An endpoint is an address of the Internet, of which the port is text: it may
// have a specifier.
type endpoint struct {
	addr netip.Addr
	port string
}

// parse reads an address and port, or a port alone, which is that of all
// addresses.
func (p Place) parse() (endpoint, bool) {
	if !slices.Contains(sockets, p.Setting) || p.Address == "" || strings.ContainsAny(p.Address[:1], "/@") {
		return endpoint{}, false
	}
	host, port := "[::]", p.Address
	if colon := strings.LastIndexByte(p.Address, ':'); colon >= 0 {
		host, port = p.Address[:colon], p.Address[colon+1:]
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return endpoint{addr.Unmap(), port}, err == nil // ::ffff:192.0.2.1 is bound as 192.0.2.1
}

// thenInternet follows inet_rcv_saddr_equal and inet_bind_conflict of the
// kernel. systemd sets SO_REUSEADDR, which is enough for two sockets of
// datagrams; that of those that listen counts for nothing.
func (p Place) thenInternet(other Place, one, two endpoint) Outcome {
	switch {
	case one.port != two.port || p.isApart(other) || p.Reused && other.Reused:
		return Apart
	case p.Setting == "ListenDatagram":
		// Of two that overlap the one that says more gets what is for it.
		if one.addr != two.addr || p.Device != other.Device {
			return Apart
		}
		return OneGetsAll
	case one.addr == two.addr, covers(one.addr, two.addr, p.IPv6Only), covers(two.addr, one.addr, other.IPv6Only):
		return Refused
	}
	return Apart
}

// isApart reports whether two addresses of the Internet cannot meet, whichever
// they are. A socket without a device meets those of all devices.
func (p Place) isApart(other Place) bool {
	return p.Network != other.Network || p.Protocol != other.Protocol ||
		p.Device != "" && other.Device != "" && p.Device != other.Device
}

// covers reports whether an address is all of another's family, or of both
// families.
func covers(all, other netip.Addr, ipv6Only bool) bool {
	return all.IsUnspecified() && (all.Is4() == other.Is4() || all.Is6() && !ipv6Only)
}

// IsAllIPv6 reports whether the place is all of IPv6, whatever of IPv4.
func (p Place) IsAllIPv6() bool {
	e, ok := p.parse()
	return ok && e.addr.IsUnspecified() && e.addr.Is6()
}

// IsHalf reports whether the other place is all of IPv4 where this one is all
// of IPv6: of the same port, where they would meet.
func (p Place) IsHalf(other Place) bool {
	one, _ := p.parse()
	two, ok := other.parse()
	return p.IsAllIPv6() && ok && two.addr.IsUnspecified() && two.addr.Is4() &&
		p.Setting == other.Setting && one.port == two.port && !p.isApart(other)
}
