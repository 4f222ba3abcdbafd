// Package freeport finds ports for programs that tests start, which have to be
// told where to listen.
//
// A port of the kernel's own choice (port 0) may be taken again before the
// program binds it: by any connection that is made meanwhile, since the kernel
// gives those the same ports. So these are ports that the kernel gives to nobody
// of itself (ip_local_port_range in ip(7)), and each is returned once in a
// process.
package freeport

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
)

// lowest is beyond the ports of well-known services.
const lowest = 10000

var (
	above = rangeStart()
	// given counts ports. Test processes that run at the same time begin at
	// different ones, as a rule.
	given atomic.Uint32
)

func init() { given.Store(uint32(os.Getpid()) * 101) }

// rangeStart returns the first port that the kernel gives out.
func rangeStart() int {
	first := 32768
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, _ = fmt.Sscan(string(text), &first)
	}
	return max(first, lowest+1000)
}

// TB is the part of testing.TB that Address needs. A program that imports this
// package does not import testing.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Address returns an address of this machine, with a port of network, "tcp" or
// "udp", that nobody has.
func Address(t TB, network string) string {
	t.Helper()
	address, err := Find(network)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return address
}

// Find is Address for programs that are no tests.
func Find(network string) (string, error) {
	for range above - lowest {
		address := fmt.Sprintf("127.0.0.1:%d", lowest+int(given.Add(1))%(above-lowest))
		if isFree(network, address) {
			return address, nil
		}
	}
	return "", fmt.Errorf("no port of %s is free from %d to %d", network, lowest, above)
}

func isFree(network, address string) bool {
	if strings.HasPrefix(network, "udp") {
		c, err := net.ListenPacket(network, address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	l, err := net.Listen(network, address)
	if err == nil {
		_ = l.Close()
	}
	return err == nil
}
