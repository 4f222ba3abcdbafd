package notify

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// DialFor is Dial with another limit than SendTimeout.
func DialFor(address string, patience time.Duration) (*Notifier, error) {
	return dial(address, patience)
}

// DialConnecting returns a Notifier that sends to a listening Unix socket as it
// does to a vsock without datagrams.
func DialConnecting(path string, kind int, patience time.Duration) *Notifier {
	to := &unix.SockaddrUnix{Name: path}
	link := &link{fd: -1, family: unix.AF_UNIX, kind: kind, to: to, patience: patience}
	return &Notifier{address: path, turn: make(chan struct{}, 1), link: link}
}

// ParseAddress shows what parseAddress made of value.
func ParseAddress(value string) (string, error) {
	a, err := parseAddress(value)
	if err != nil || a.path != "" {
		return a.path, err
	}
	scheme := [...]string{vsockAny: "vsock", vsockDatagram: "dgram", vsockSeqpacket: "seqpacket", vsockStream: "stream"}[a.kind]
	return fmt.Sprintf("%s %d %d", scheme, a.cid, a.port), nil
}

// Microseconds is microseconds.
var Microseconds = microseconds
