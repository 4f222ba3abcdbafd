package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// packetDelay is how long each answer takes.
const packetDelay = 20 * time.Millisecond

// packets answers each datagram with the generation and the datagram. It runs a
// server, or with HEIRLOOM_TEST_LOOP a worker.
func packets(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	killAtStep(service)
	if path := inRuntimeDirectory("exit"); exists(path) {
		return errors.Join(os.Remove(path), service.Fail(errors.New("told to exit")))
	}
	if path := inRuntimeDirectory("hang"); exists(path) {
		_ = os.Remove(path)
		time.Sleep(time.Hour) // until the predecessor has lost patience
	}
	network, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	conn, err := service.ListenPacket("http", network, address)
	if err != nil {
		return err
	}
	server := packetServer(service.Generation())
	if os.Getenv("HEIRLOOM_TEST_LOOP") == "" {
		err = service.ServePacket(conn, server)
	} else {
		err = service.Go("loop", func(context.Context) error { return server.Serve(conn) })
	}
	if err != nil {
		return err
	}
	return service.Run(context.Background())
}

// packetServer notes in a file each datagram that it has read, before anything
// else.
func packetServer(generation int) lifecycle.PacketServerFunc {
	return func(conn net.PacketConn) error {
		notes, err := os.OpenFile(inRuntimeDirectory("read"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		defer notes.Close()
		var answering sync.WaitGroup
		defer answering.Wait()
		for {
			buffer := make([]byte, 1500)
			n, client, err := conn.ReadFrom(buffer)
			if err != nil {
				if !errors.Is(err, net.ErrClosed) || !errors.Is(err, lifecycle.ErrDraining) {
					fmt.Fprintln(os.Stderr, "BAD", err)
				}
				return err
			}
			fmt.Fprintf(notes, "%s\n", buffer[:n])
			answering.Go(func() {
				time.Sleep(packetDelay)
				if _, err := conn.WriteTo(fmt.Appendf(nil, "%d %s", generation, buffer[:n]), client); err != nil {
					fmt.Fprintln(os.Stderr, "BAD", err)
				}
			})
		}
	}
}
