package lifecycle_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"sync"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// A greeter stands for a server of any protocol. As a *grpc.Server it has Serve
// and a method that lets it finish.
type greeter struct {
	conns sync.WaitGroup
}

func (g *greeter) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		g.conns.Go(func() {
			defer c.Close()
			fmt.Fprintln(c, "hello")
		})
	}
}

func (g *greeter) GracefulStop() {
	g.conns.Wait()
	fmt.Println("all were greeted")
}

// A server of another kind than net/http's.
func ExampleService_Serve() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := service.Listen("greetings", "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if err := service.Serve(listener, &greeter{}); err != nil {
		log.Fatal(err)
	}

	ctx, stop := context.WithCancel(context.Background())
	go beGreeted(listener.Addr(), stop)
	if err := service.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello
	// all were greeted
}

func beGreeted(server net.Addr, stop func()) {
	defer stop()
	conn, err := net.Dial(server.Network(), server.String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	greeting, err := io.ReadAll(conn)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(greeting))
}
