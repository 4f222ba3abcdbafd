package tlsmove_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// A connection is served by one owner, leaves while its client is silent, and is
// served by another.
func Example() {
	client, server, config := exampleEnds()
	defer client.Close()
	go func() { _, _ = io.WriteString(client, "one") }()

	c := tlsmove.Server(server, tlsmove.Config(config))
	if err := c.HandshakeContext(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	p := make([]byte, 10)
	n, err := c.Read(p)
	fmt.Println(string(p[:n]), err)

	// At rest: nothing has come, and nothing is being written.
	_ = c.SetReadDeadline(time.Unix(1, 0))
	if _, err := c.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
		fmt.Println(err)
		return
	}
	state, err := c.Export()
	if err != nil {
		fmt.Println(err)
		return
	}

	// In another process, which got the state and the descriptor:
	_ = server.SetReadDeadline(time.Time{})
	moved, err := tlsmove.Adopt(context.Background(), server, state, config)
	if err != nil {
		_ = server.Close()
		fmt.Println(err)
		return
	}
	defer moved.Close()
	_, _ = io.WriteString(client, "two")
	n, err = moved.Read(p)
	fmt.Println(string(p[:n]), err)

	_, err = c.Write(p)
	fmt.Println(errors.Is(err, tlsmove.ErrMoved))
	// Output:
	// one <nil>
	// two <nil>
	// true
}

// exampleEnds connects a client to a server.
func exampleEnds() (*tls.Conn, net.Conn, *tls.Config) {
	config := &tls.Config{Certificates: []tls.Certificate{exampleCertificate()}}
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	defer listener.Close()
	raw := must(net.Dial("tcp", listener.Addr().String()))
	client := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	return client, must(listener.Accept()), config
}

func exampleCertificate() tls.Certificate { return newAuthority(nil).issue("localhost") }
