package units_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/units"
)

// testAddresses has systemd listen at all addresses of services of which some
// would be in each other's way.
func testAddresses(t *testing.T, m *machine) {
	var sockets []string
	for i, addresses := range [][2]string{ // of two sockets
		{"0.0.0.0:PORT", "[::]:PORT"},
		{"[::]:PORT", "0.0.0.0:PORT"},
		{"0.0.0.0:PORT [::]:PORT", "udp:0.0.0.0:PORT udp:[::]:PORT"},
		{":PORT 0.0.0.0:PORT", "/run/PORT"},
		{"[::]:1PORT 0.0.0.0:PORT", "[::]:PORT 0.0.0.0:1PORT"},
		{"udp::PORT", "udp:127.0.0.1:PORT udp:0.0.0.0:PORT"},
		{"[::1]:PORT", "0.0.0.0:PORT"},
		{"@PORT", "unixgram:@PORT"},
	} {
		s := simple(fmt.Sprintf("addresses-%d", i))
		for _, text := range addresses {
			text = strings.ReplaceAll(text, "PORT", fmt.Sprint(6000+i))
			s.Sockets = append(s.Sockets, units.Socket{Name: fmt.Sprint("s", len(s.Sockets)), Addresses: strings.Fields(text)})
		}
		m.install(t, s)
		sockets = append(sockets, s.SocketUnits()...)
	}
	m.MustRun("systemctl", "daemon-reload")
	if out, err := m.Run("systemctl", append([]string{"start"}, sockets...)...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	m.MustRun("systemctl", append([]string{"stop"}, sockets...)...)
}
