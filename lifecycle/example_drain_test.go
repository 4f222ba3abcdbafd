package lifecycle_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var service *lifecycle.Service // that main got from lifecycle.New

// Server-sent events: the handler ends its stream when the process is to leave. The browser connects again, to the next
// process, and says which event it has seen last.
func ExampleService_Leaving() {
	http.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				fmt.Fprintf(w, "data: %s\n\n", now.Format(time.TimeOnly))
				_ = http.NewResponseController(w).Flush()
			case <-service.Leaving():
				return
			case <-r.Context().Done():
				return
			}
		}
	})
}

// A worker that only one generation runs at a time: the context ends when another takes over, or when the service stops.
func ExampleService_Go() {
	err := service.Go("cleaner", func(ctx context.Context) error {
		for {
			select {
			case <-time.After(time.Minute):
				log.Print("cleaning")
			case <-ctx.Done():
				if errors.Is(context.Cause(ctx), lifecycle.ErrReplaced) {
					log.Print("the next generation goes on")
				}
				return nil
			}
		}
	})
	if err != nil {
		log.Fatal(err)
	}
}

// The database is closed when no request needs it any more.
func ExampleService_Defer() {
	db, err := sql.Open("postgres", "dbname=example")
	if err != nil {
		log.Fatal(service.Fail(err))
	}
	service.Defer("database", func(context.Context) error { return db.Close() })
}

// A tcpEcho stands for a server of any protocol: it has Serve and Shutdown.
type tcpEcho struct {
	conns sync.WaitGroup
}

func (e *tcpEcho) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		e.conns.Go(func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		})
	}
}

func (e *tcpEcho) Shutdown(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		e.conns.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A server of another protocol beside that of HTTP. A *grpc.Server is served in the same way: it has Serve, GracefulStop and
// Stop.
func ExampleService_Serve() {
	listener, err := service.Listen("echo", "tcp", "127.0.0.1:7001")
	if err != nil {
		log.Fatal(err)
	}
	if err := service.Serve(listener, &tcpEcho{}); err != nil {
		log.Fatal(err)
	}
}

// A protocol that begins as HTTP and goes on by its own rules. Its connections outlive the process: each handler gets them from
// a request, or from the handler of the generation before.
func ExampleService_Hijack() {
	echo := func(c *lifecycle.Stream) {
		buffer := make([]byte, 4096)
		for {
			n, err := c.Read(buffer)
			if _, err := c.Write(buffer[:n]); err != nil {
				return
			}
			switch {
			case errors.Is(err, lifecycle.ErrLeaving):
				if err := c.HandOver(nil); err != nil {
					_, _ = io.WriteString(c, "goodbye\n")
				}
				return
			case err != nil:
				return
			}
		}
	}
	upgrade := func(w http.ResponseWriter, r *http.Request) {
		c, err := service.Hijack(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotImplemented)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		echo(c)
	}

	listener, err := service.Listen("http", "tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	if err := service.HTTP(listener, &http.Server{Handler: http.HandlerFunc(upgrade)}); err != nil {
		log.Fatal(err)
	}
	if err := service.Hijacked(listener, echo); err != nil {
		log.Fatal(err)
	}
}
