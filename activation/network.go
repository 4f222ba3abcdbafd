package activation

import (
	"fmt"
	"net"
	"strings"
)

// splitNetwork cuts "tcp4" into "tcp" and "4", and "ip6:icmp" into "ip" and
// "6".
func splitNetwork(network string) (base, version string) {
	network, _, _ = strings.Cut(network, ":")
	for _, base := range []string{"tcp", "udp", "ip"} {
		if version, ok := strings.CutPrefix(network, base); ok && (version == "4" || version == "6") {
			return base, version
		}
	}
	return network, ""
}

func checkNetwork(network string, known func(string) bool) error {
	if base, _ := splitNetwork(network); !known(base) {
		return fmt.Errorf("activation: %w", net.UnknownNetworkError(network))
	}
	return nil
}

func isSocket(network string) bool {
	return isNet(network) || network == "sctp" || network == "netlink" || network == "socket"
}

// isNet says whether the methods of Table have a Go type of package net, or of
// ours, for sockets of this kind.
func isNet(network string) bool {
	return isStream(network) || isPacket(network)
}

func isStream(network string) bool {
	return network == "tcp" || network == "unix" || network == "unixpacket" || network == "vsock"
}

func isPacket(network string) bool {
	return network == "udp" || network == "unixgram" || network == "ip"
}
