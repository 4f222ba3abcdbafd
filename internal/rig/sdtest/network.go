package sdtest

import (
	"fmt"
	"os"
)

// Network is what machines are connected by, as by a switch without an uplink:
// they reach each other, and neither the host nor anything beyond it. Of the
// host's own network it is no part, so two tests may use the same addresses at
// once. Nothing of it is left when the test process ends, however that happens.
// Goroutines may share it.
type Network struct {
	ns *os.File // of a network namespace with a bridge in it; nothing else holds the namespace
}

// NewNetwork makes a network that lasts until the test has ended. It fails the
// test when it cannot. It needs what [Boot] needs, so call [Require] before, or
// Boot.
func NewNetwork(t TB) *Network {
	t.Helper()
	ns, err := makeBridge()
	if err != nil {
		t.Fatalf("make a network: %v", err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	return &Network{ns: ns}
}

// Join gives the machine an interface in the network, with an address and the
// length of its prefix, as in "192.0.2.1/24". The first that a machine joins is
// its eth0, the next its eth1. It fails the test when it cannot.
func (m *Machine) Join(n *Network, address string) {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	name := fmt.Sprintf("eth%d", m.joined)
	if err := plug(n.ns, m.pid, name, address); err != nil {
		m.t.Fatalf("join a network as %s: %v", address, err)
	}
	m.joined++
}
