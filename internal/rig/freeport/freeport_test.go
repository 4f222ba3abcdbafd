package freeport_test

import (
	"net"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/freeport"
)

// TestAddress returns another port each time, and none that somebody has.
func TestAddress(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		address := freeport.Address(t, "tcp")
		if seen[address] {
			t.Fatalf("%s twice", address)
		}
		seen[address] = true
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	if c, err := net.ListenPacket("udp", freeport.Address(t, "udp")); err != nil {
		t.Error(err)
	} else {
		_ = c.Close()
	}
}
