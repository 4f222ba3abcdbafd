package activation

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
)

// match says how well a socket's address fits the one asked for.
type match int

const (
	noMatch match = iota
	anyAddress
	exactAddress
)

// pick chooses by address among files that fit otherwise: a single one always,
// else the one bound there.
func pick(fit []*entry, network, address string) (*entry, error) {
	if len(fit) == 1 {
		return fit[0], nil
	}
	compare, err := comparison(network, address)
	if err != nil {
		return nil, err
	}
	var chosen *entry
	best, tie := noMatch, false
	for _, e := range fit {
		switch m := compare(e.Address); {
		case m > best:
			chosen, best, tie = e, m, false
		case m == best && m > noMatch:
			tie = tie || chosen.Address != e.Address
		}
	}
	if chosen == nil || tie {
		return nil, ambiguous(fit, network, address)
	}
	return chosen, nil
}

func ambiguous(fit []*entry, network, address string) error {
	var addresses []string
	for _, e := range fit {
		addresses = append(addresses, e.Address)
	}
	return fmt.Errorf("activation: %d files named %q, at %s: asking for %s %q picks none: %w",
		len(fit), fit[0].Name, strings.Join(addresses, ", "), network, address, ErrAmbiguous)
}

// comparison returns what tells how well a socket's address fits the one asked
// for.
func comparison(network, address string) (func(local string) match, error) {
	base, version := splitNetwork(network)
	var equal func(local string) bool
	switch base {
	case "tcp":
		asked, err := net.ResolveTCPAddr(network, address)
		return func(local string) match { return matchInet(local, asked, version) }, unresolved(address, err)
	case "udp":
		asked, err := net.ResolveUDPAddr(network, address)
		return func(local string) match { return matchInet(local, (*net.TCPAddr)(asked), version) }, unresolved(address, err)
	case "ip":
		asked, err := net.ResolveIPAddr(network, address)
		if err != nil {
			return nil, unresolved(address, err)
		}
		equal = func(local string) bool { return local == asked.String() }
	case "vsock":
		asked, err := parseVsockAddr(address)
		if err != nil {
			return nil, err
		}
		equal = func(local string) bool { return local == asked.String() }
	default:
		equal = func(local string) bool { return samePath(local, address) }
	}
	return func(local string) match {
		if equal(local) {
			return exactAddress
		}
		return noMatch
	}, nil
}

func unresolved(address string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("activation: address %q: %w", address, err)
}

// matchInet follows net.Listen, which binds "tcp" to [::] for both IP versions
// whether asked for no host, for 0.0.0.0 or for [::] (net/ipsock_posix.go,
// favoriteAddrFamily). A socket bound to the very address still comes first.
func matchInet(local string, asked *net.TCPAddr, version string) match {
	bound, err := netip.ParseAddrPort(local)
	if err != nil || int(bound.Port()) != asked.Port {
		return noMatch
	}
	boundIP := bound.Addr().Unmap()
	ip, _ := netip.AddrFromSlice(asked.IP)
	ip = ip.Unmap()
	switch {
	case asked.IP != nil && boundIP == ip.WithZone(asked.Zone):
		return exactAddress
	case boundIP.IsUnspecified() && (asked.IP == nil || version == "" && ip.IsUnspecified()):
		return anyAddress
	}
	return noMatch
}

// samePath compares by name: the file may be gone, and the path in the socket
// stays what it was bound as.
func samePath(local, asked string) bool {
	if local == "" || asked == "" || local[0] == '@' || asked[0] == '@' {
		return local == asked
	}
	a, errA := filepath.Abs(local)
	b, errB := filepath.Abs(asked)
	return errA == nil && errB == nil && a == b
}
