package lifecycle_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"sync"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// sendBackLines hands over a connection with the part of a line that it has
// read, if any.
func sendBackLines(c *lifecycle.Stream) {
	pending, buffer := c.State(), make([]byte, 4096)
	for {
		n, err := c.Read(buffer)
		pending = append(pending, buffer[:n]...)
		if end := bytes.LastIndexByte(pending, '\n') + 1; end > 0 {
			if _, err := c.Write(pending[:end]); err != nil {
				return
			}
			pending = pending[end:]
		}
		switch {
		case errors.Is(err, lifecycle.ErrDraining):
			if err := c.HandOver(pending); errors.Is(err, lifecycle.ErrNoSuccessor) {
				_, _ = io.WriteString(c, "goodbye\n")
			}
			return
		case err != nil:
			return
		}
	}
}

// A server that sends back each line, and a client of it that sees the service
// end. On a reload it would see nothing.
func ExampleService_ServeStreams() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := service.Listen("lines", "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if err := service.ServeStreams(listener, sendBackLines); err != nil {
		log.Fatal(err)
	}

	ctx, stop := context.WithCancel(context.Background())
	var client sync.WaitGroup
	client.Go(func() { sendALine(listener.Addr(), stop) })
	if err := service.Run(ctx); err != nil {
		log.Fatal(err)
	}
	client.Wait()
	// Output:
	// hello
	// goodbye
}

func sendALine(server net.Addr, stop func()) {
	conn, err := net.Dial(server.Network(), server.String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello\nand half a li"); err != nil {
		log.Fatal(err)
	}
	for answers := bufio.NewScanner(conn); answers.Scan(); stop() {
		fmt.Println(answers.Text())
	}
}
