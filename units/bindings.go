package units

import (
	"math"
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/internal/sameaddress"
	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// A binding is an address of a socket, and where that is.
type binding struct {
	sameaddress.Place
	socket  Socket
	address string // as the description has it
}

// hasNoHost reports whether it is a port alone, of all addresses.
func (b binding) hasNoHost() bool { return b.IsAllIPv6() && !strings.Contains(b.Address, ":") }

// bindings are those of the socket with this index, as its Settings have them.
// Addresses that are invalid are nowhere.
func (s *Service) bindings(i int) []binding {
	socket := s.Sockets[i]
	unit := unitfile.Unit{Name: s.SocketUnits()[i]}
	for _, extra := range socket.Settings {
		unit.Assignments = append(unit.Assignments, unitfile.Assignment{Section: extra.Section, Name: extra.Name, Value: extra.Value})
	}
	expand := strings.NewReplacer("%%", "%%", "%t", "/run").Replace // others are as they stand
	common := sameaddress.Of(&unit, math.MaxInt, expand)
	var all []binding
	for _, address := range socket.Addresses {
		l, err := parseAddress(address)
		if err != nil {
			continue
		}
		here := binding{common, socket, address}
		here.Setting, here.Address = l.setting, expand(l.value)
		all = append(all, here)
	}
	return all
}

// allBindings are those of all sockets.
func (s *Service) allBindings() []binding {
	var all []binding
	for i := range s.Sockets {
		all = append(all, s.bindings(i)...)
	}
	return all
}

// families tells whether an address of the socket that is all of IPv6 stands
// beside one of the service that is all of IPv4, of the same port, and which
// ones do not. A port alone is both, unless the same socket has IPv4 as well.
func (s *Service) families(i int) (apart bool, alone []binding) {
	own, all := s.bindings(i), s.allBindings()
	for _, here := range own {
		beside := all
		if here.hasNoHost() {
			beside = own
		}
		switch {
		case !here.IsAllIPv6():
		case slices.ContainsFunc(beside, func(other binding) bool { return here.IsHalf(other.Place) }):
			apart = true
		default:
			alone = append(alone, here)
		}
	}
	return apart, alone
}

// isIPv6Only reports whether the socket's addresses of IPv6 must not be IPv4's
// as well: the kernel then binds 0.0.0.0 beside [::]. What Settings say counts.
func (s *Service) isIPv6Only(i int) bool {
	apart, _ := s.families(i)
	return apart && !slices.ContainsFunc(s.Sockets[i].Settings, func(extra Setting) bool { return extra.Name == "BindIPv6Only" })
}

// validateBindings refuses an address that cannot be had beside another, and
// one of which the unit would make less than it says.
func (s *Service) validateBindings(j *judge) {
	var seen []binding
	for i := range s.Sockets {
		only := s.isIPv6Only(i)
		if _, alone := s.families(i); only {
			for _, p := range alone {
				j.refuse("Addresses", p.address, "beside 0.0.0.0 and [::] of another port it would be for IPv6 only: add 0.0.0.0, or make another socket of it")
			}
		}
		for _, here := range s.bindings(i) {
			here.IPv6Only = here.IPv6Only || only
			for _, other := range seen {
				if why := other.clash(here); why != "" {
					j.refuse("Addresses", here.address, why)
					break
				}
			}
			seen = append(seen, here)
		}
	}
}

// clash says why another binding cannot be had beside this one, "" if it can.
func (b binding) clash(later binding) string {
	if b.Then(later.Place) == sameaddress.Apart {
		return ""
	}
	why := "socket " + b.socket.Name + " listens at " + b.address + " already"
	both := b
	if later.IsAllIPv6() {
		both = later
	}
	b.IPv6Only, later.IPv6Only = true, true
	if b.Then(later.Place) == sameaddress.Apart {
		why += ", and " + both.address + " is of both families unless its socket's Settings have BindIPv6Only=ipv6-only"
	}
	return why
}
