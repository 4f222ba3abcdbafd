package lint

import (
	"github.com/heirloom-go/heirloom/internal/sameaddress"
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
		"that overlap the one that says more. Two sockets that are bound to different devices (BindToDevice=) or in " +
		"different network namespaces do not meet; one that is bound to none meets all.",
	Bad:       "[Socket]\nListenStream=0.0.0.0:8080",
	Good:      "[Socket]\nListenStream=0.0.0.0:8081",
	Reference: "systemd.socket(5)",
}

// A place is where a socket unit listens.
type place struct {
	sameaddress.Place
	socket *subject
	from   unitfile.Assignment
}

// places are those of a socket unit.
func (i *inspection) places(s *subject) []place {
	var all []place
	common := sameaddress.Of(s.Unit, i.Systemd, s.expand)
	for _, a := range s.addresses() {
		here := place{common, s, a}
		here.Setting, here.Address = a.Name, s.expand(a.Value)
		all = append(all, here)
	}
	return all
}

func checkSameAddress(i *inspection) {
	var seen []place
	for _, s := range i.sockets {
		for _, here := range i.places(s) {
			for _, other := range seen {
				if r, clash := other.clash(here); clash {
					i.at(s, here.from, r)
					break
				}
			}
			seen = append(seen, here)
		}
	}
}

// clash reports whether another place, which is bound later, is in the way of
// this one, and what comes of it.
func (p place) clash(later place) (r remark, clash bool) {
	end := ""
	switch p.Then(later.Place) {
	case sameaddress.Apart:
		return r, false
	case sameaddress.Refused:
		end = "the second fails"
	case sameaddress.TakesPath:
		end = "the second takes the path from it"
	case sameaddress.OneGetsAll:
		r.severity, end = Warning, "one of both gets all datagrams"
	case sameaddress.Divided:
		r.severity, end = Warning, "each message goes to one of both, by chance"
	}
	r.why = p.socket.Name + " listens at " + p.Address + " already, and " + end
	return r, true
}
