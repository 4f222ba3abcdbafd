package sdtest

import (
	"context"
	"net"
)

// Dial connects from inside: to the machine's own loopback addresses, or for
// "unix" and its kin to a path in its file system. It has the signature of
// net.Dialer.DialContext, so it fits an http.Transport. Many goroutines may
// dial at once. Host names are those of the host; use addresses. The connection
// belongs to the caller, and the machine's end breaks it.
func (m *Machine) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := m.Inside(func() (err error) {
		// Without FallbackDelay a name with two addresses would be dialled by
		// goroutines on threads of the host.
		d := net.Dialer{FallbackDelay: -1}
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}
