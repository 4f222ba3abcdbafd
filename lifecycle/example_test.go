package lifecycle_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// The main of a daemon that `kill -HUP` replaces without breaking a request.
func Example() {
	service, err := lifecycle.New(lifecycle.Options{Logger: hclog.Default()})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := service.Listen("http", "tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello\n")
	})}
	if err := service.HTTP(listener, server); err != nil {
		log.Fatal(err)
	}
	if err := service.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// All of a daemon: it knows the commands reload and status, logs to standard
// error, and `systemctl reload` replaces it without breaking a request.
func ExampleMain() {
	args := os.Args[1:] // or flag.Args()
	os.Exit(lifecycle.Main(lifecycle.Options{Name: "example"}, args, func(service *lifecycle.Service) error {
		return service.ListenAndServe(&http.Server{Addr: "127.0.0.1:8080", Handler: http.FileServer(http.Dir("/srv/www"))})
	}))
}

// A daemon that logs by log/slog.
func ExampleFromSlog() {
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "pid" {
				return slog.Attr{} // for the sake of the example
			}
			return a
		},
	})
	service, err := lifecycle.New(lifecycle.Options{Name: "example", Version: "v1", Logger: lifecycle.FromSlog(slog.New(handler))})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	err = service.Go("stop", func(context.Context) error {
		stop()
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := service.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// It says, among others:
	// level=INFO msg=ready generation=1 version=v1
}

// A daemon that serves more than one address, and reads its certificate anew on
// each reload.
func ExampleService_HTTPS() {
	os.Exit(lifecycle.Main(lifecycle.Options{Name: "example"}, os.Args[1:], func(service *lifecycle.Service) error {
		public, err := service.Listen("https", "tcp", "0.0.0.0:443")
		if err != nil {
			return err
		}
		site := &http.Server{Handler: http.FileServer(http.Dir("/srv/www"))}
		if err := service.HTTPS(public, site, "/etc/example/cert.pem", "/etc/example/key.pem"); err != nil {
			return err
		}
		return service.ListenAndServe(&http.Server{Addr: "127.0.0.1:8080", Handler: service.Readiness()})
	}))
}

// A daemon with a command line of its own that knows the commands reload and
// status, for its unit's ExecReload= and for the operator.
func ExampleCommand() {
	options := lifecycle.Options{Name: "example", ControlSocket: "/nonexistent/control"}
	args := []string{"status"} // flag.Args()
	if err := lifecycle.Command(context.Background(), options, args, os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output: the service is not running: no answer on /nonexistent/control
}

// A daemon whose configuration is bad tells the process that it was to replace:
// `systemctl reload` then fails with this reason, and the predecessor serves
// on.
func ExampleService_Fail() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := os.ReadFile("/etc/example/config"); err != nil {
		log.Fatal(service.Fail(err))
	}
}

// A daemon whose clients resume their TLS sessions after a reload or restart:
// it hands down the keys of its session tickets. Each generation makes tickets
// with a key of its own, and understands those of the generation before.
func ExampleService_PassState() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}

	keys := make([][32]byte, 1, 2)
	if _, err := rand.Read(keys[0][:]); err != nil {
		log.Fatal(service.Fail(err))
	}
	if tickets, err := service.InheritedState("tickets"); err == nil && len(tickets.Data) == 32 {
		keys = append(keys, [32]byte(tickets.Data))
	}
	err = service.PassState("tickets", func() (lifecycle.PassedState, error) {
		return lifecycle.PassedState{Data: keys[0][:]}, nil
	})
	if err != nil {
		log.Fatal(service.Fail(err))
	}

	certificate, err := tls.LoadX509KeyPair("/etc/example/cert.pem", "/etc/example/key.pem")
	if err != nil {
		log.Fatal(service.Fail(err))
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	config.SetSessionTicketKeys(keys) // the first makes tickets, all understand them

	listener, err := service.Listen("https", "tcp", ":443")
	if err != nil {
		log.Fatal(err)
	}
	if err := service.HTTP(listener, &http.Server{TLSConfig: config}); err != nil {
		log.Fatal(err)
	}
	if err := service.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// A server that sends datagrams back. When another process reads on it finishes
// its answers.
func ExampleService_ServePacket() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	conn, err := service.ListenPacket("echo", "udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	err = service.ServePacket(conn, lifecycle.PacketServerFunc(func(conn net.PacketConn) error {
		var answers sync.WaitGroup
		defer answers.Wait()
		for {
			request := make([]byte, 1500)
			n, client, err := conn.ReadFrom(request)
			if err != nil {
				return err
			}
			answers.Go(func() {
				_, _ = conn.WriteTo(request[:n], client) // who asks by UDP can bear to hear nothing
			})
		}
	}))
	if err != nil {
		log.Fatal(err)
	}

	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		client, err := net.Dial("udp", conn.LocalAddr().String())
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close()
		fmt.Fprint(client, "hello")
		answer := make([]byte, 1500)
		n, err := client.Read(answer)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", answer[:n])
	}()
	if err := service.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: hello
}
