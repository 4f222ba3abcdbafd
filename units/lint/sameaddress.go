package lint

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

var ruleSameAddress = Rule{
	ID: "same-address", Severity: Error,
	Title: "an address is bound twice",
	Why: "Two lines, of one socket unit or of two of the same service, listen at the same address. The address of " +
		"all interfaces overlaps with that of one as well, and so does a port alone (which is [::], both " +
		"families without BindIPv6Only=ipv6-only) with 0.0.0.0. The second socket cannot be bound (EADDRINUSE), " +
		"and its unit fails. A path is taken from the first socket, which no client then reaches. For datagrams " +
		"systemd binds both (SO_REUSEADDR): one of two sockets with the same address gets them all, and of two " +
		"that overlap the one that says more.",
	Bad:       "[Socket]\nListenStream=0.0.0.0:8080",
	Good:      "[Socket]\nListenStream=0.0.0.0:8081",
	Reference: "systemd.socket(5)",
}

// A place is where a socket unit listens.
type place struct {
	socket   *subject
	from     unitfile.Assignment
	address  string
	ipv6Only bool // of what is IPv6 at all
}

func checkSameAddress(i *inspection) {
	var seen []place
	for _, s := range i.sockets {
		if reuse, _, _ := s.boolean("Socket", "ReusePort"); reuse {
			continue // has a rule of its own
		}
		for _, a := range s.addresses() {
			here := place{s, a, s.expand(a.Value), s.ipv6Only()}
			for _, other := range seen {
				if r, clash := other.clash(here); clash {
					i.at(s, a, r)
					break
				}
			}
			seen = append(seen, here)
		}
	}
}

// ipv6Only reports whether the socket's addresses of IPv6 are not IPv4's as
// well (config_parse_socket_bind).
func (s *subject) ipv6Only() bool {
	a, found := s.valid("Socket", func(value string) bool {
		return value == "ipv6-only" || value == "both" || value == "default" || isBool(value)
	}, "BindIPv6Only")
	yes, err := unitfile.ParseBool(a.Value)
	return found && (a.Value == "ipv6-only" || err == nil && yes)
}

// clash reports whether another place, which is bound later, is in the way of
// this one, and what comes of it.
func (p place) clash(later place) (r remark, clash bool) {
	if p.from.Name != later.from.Name {
		return r, false
	}
	one, errOne := parseListen(p.address)
	two, errTwo := parseListen(later.address)
	internet := errOne == nil && errTwo == nil
	end := "the second fails"
	switch {
	case internet && p.from.Name == "ListenDatagram":
		r.severity, end = Warning, "the one that is bound last gets all datagrams"
		clash = one == two
	case internet:
		clash = one.Port() == two.Port() &&
			(one == two || covers(one.Addr(), two.Addr(), p.ipv6Only) || covers(two.Addr(), one.Addr(), later.ipv6Only))
	case strings.HasPrefix(p.address, "/") && slices.Contains(listens[:3], p.from.Name):
		end = "the second takes the path from it"
		clash = p.address == later.address
	default:
		clash = p.address == later.address
	}
	r.why = p.socket.Name + " listens at " + p.address + " already, and " + end
	return r, clash
}

// covers reports whether an address is all of another's family, or of both
// families.
func covers(all, other netip.Addr, ipv6Only bool) bool {
	return all.IsUnspecified() && (all.Is4() == other.Is4() || all.Is6() && !ipv6Only)
}

// parseListen reads an address and port, or a port alone, which is that of all
// addresses.
func parseListen(value string) (netip.AddrPort, error) {
	if !strings.Contains(value, ":") {
		value = "[::]:" + value
	}
	return netip.ParseAddrPort(value)
}
