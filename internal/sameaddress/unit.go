package sameaddress

import (
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// Of returns what all places of a socket unit have in common: their settings
// and addresses are still to be said. Expand replaces specifiers.
func Of(u *unitfile.Unit, systemd int, expand func(string) string) Place {
	p := Place{IPv6Only: ipv6Only(u), Device: device(u, systemd), Network: network(u, expand)}
	p.Reused = isOn(u, "ReusePort")
	// MPTCP is left out: TCP has no port that MPTCP has.
	if a, found := u.LastValid("Socket", isProtocol, "SocketProtocol"); found && a.Value != "mptcp" {
		p.Protocol = a.Value
	}
	return p
}

// isProtocol is what config_parse_socket_protocol takes.
func isProtocol(value string) bool { return value == "udplite" || value == "sctp" || value == "mptcp" }

func isOn(u *unitfile.Unit, name string) bool {
	a, _ := u.LastValid("Socket", isBool, name)
	yes, err := unitfile.ParseBool(a.Value)
	return err == nil && yes
}

func isBool(value string) bool {
	_, err := unitfile.ParseBool(value)
	return err == nil
}

// ipv6Only is config_parse_socket_bind.
func ipv6Only(u *unitfile.Unit) bool {
	a, found := u.LastValid("Socket", func(value string) bool {
		return value == "ipv6-only" || value == "both" || value == "default" || isBool(value)
	}, "BindIPv6Only")
	yes, err := unitfile.ParseBool(a.Value)
	return found && (a.Value == "ipv6-only" || err == nil && yes)
}

// device returns the network device that the unit is bound to, or "".
// Specifiers are not replaced in it (config_parse_socket_bindtodevice).
func device(u *unitfile.Unit, systemd int) string {
	if a, found := u.LastValid("Socket", isDevice, "BindToDevice"); found && a.Value != "*" {
		return a.Value
	}
	// It is for all sockets that are made in the unit's control group.
	if a, found := u.LastValid("Socket", isDevice, "BindNetworkInterface"); found && systemd >= 260 {
		return a.Value
	}
	return ""
}

// isDevice is what ifname_valid takes, and an asterisk.
func isDevice(value string) bool {
	const most = 15
	return len(value) <= most && !strings.ContainsAny(value, "/:% \t")
}

// network returns the network namespace that the unit listens in, and "" for
// the machine's. One of its own may be shared by JoinsNamespaceOf=, since some
// version; then it is not known with whom.
func network(u *unitfile.Unit, expand func(string) string) string {
	if a, found := u.LastValid("Socket", nil, "NetworkNamespacePath"); found {
		return expand(a.Value)
	}
	if isOn(u, "PrivateNetwork") {
		return "that of " + u.Name
	}
	return ""
}
