package control

import (
	"net"
	"path/filepath"
	"testing"
)

// TestIsTrusted trusts this process, and no client of TCP.
func TestIsTrusted(t *testing.T) {
	for network, address := range map[string]string{"unix": filepath.Join(t.TempDir(), "s"), "tcp": "127.0.0.1:0"} {
		listener, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		client, err := net.Dial(network, listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := isTrusted(server), network == "unix"; got != want {
			t.Errorf("over %s trusted is %v", network, got)
		}
		_, _, _ = client.Close(), server.Close(), listener.Close()
	}
}
