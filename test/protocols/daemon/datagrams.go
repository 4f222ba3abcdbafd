package main

import (
	"errors"
	"net"
	"strings"
	"sync"

	"github.com/heirloom-go/heirloom/lifecycle"
)

func (d *daemon) serveDatagrams() error {
	conn, err := d.service.ListenPacket("datagrams", "udp", "127.0.0.1:7001")
	if err != nil {
		return err
	}
	return d.service.ServePacket(conn, lifecycle.PacketServerFunc(d.datagrams))
}

// datagrams echoes datagrams, after a while, until there are none to read any
// more and each that was read is answered.
func (d *daemon) datagrams(conn net.PacketConn) error {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		buffer := make([]byte, 512)
		n, from, err := conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		group.Go(func() {
			pause("10ms")
			name, _, _ := strings.Cut(string(buffer[:n]), " ")
			d.seen.note(name)
			_, _ = conn.WriteTo(buffer[:n], from) // the client tells if it misses it
		})
	}
}
