//go:build linux

package activation

import (
	"net"
	"time"
)

// Handed is what the parser made of the variables.
type Handed struct {
	Names       []string
	Predecessor int
	Ignored     error
}

// Parse runs the parser as the process pid with that pidfd id (0: none) and
// RLIMIT_NOFILE.
func Parse(get func(string) (string, bool), pid int, pidfdID, maxFiles uint64) (Handed, error) {
	h, err := parse(get, process{pid, func() (uint64, bool) { return pidfdID, pidfdID != 0 }, maxFiles})
	return Handed{h.names, h.predecessor, h.ignored}, err
}

func OwnPIDFDID() (uint64, bool) { return thisProcess().pidfdID() }

func ParseVsockAddr(address string) (VsockAddr, error) { return parseVsockAddr(address) }

// Rebind replaces a stale socket with a wait of its own for the directory's
// lock.
func Rebind(path string, wait time.Duration, bind func() (net.Listener, error)) (net.Listener, error) {
	return rebind(path, wait, bind)
}

// GenericListener serves any listening stream socket through the code for
// vsock, which has no loopback on most machines.
func GenericListener(fd int) (net.Listener, error) { return asListener(newVsockListener(fd)) }

// PickAddress says which of the addresses a call for network and address gets;
// "" for ErrAmbiguous.
func PickAddress(addresses []string, network, address string) (string, error) {
	var fit []*entry
	for _, a := range addresses {
		fit = append(fit, &entry{File: File{Name: "n", Network: network, Address: a}})
	}
	e, err := pick(fit, network, address)
	if err != nil {
		return "", err
	}
	return e.Address, nil
}
