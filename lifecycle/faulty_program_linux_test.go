package lifecycle_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// A fault is how a function of the program misbehaves, in one generation.
type fault struct {
	kind, how  string
	generation int
}

// faultOf reads HEIRLOOM_TEST_FAULT, as in "worker panics 1".
func faultOf(service *lifecycle.Service) fault {
	var f fault
	_, _ = fmt.Sscan(os.Getenv("HEIRLOOM_TEST_FAULT"), &f.kind, &f.how, &f.generation)
	if f.generation != service.Generation() {
		return fault{}
	}
	return f
}

// in misbehaves if the fault is of that kind.
func (f fault) in(kind string) {
	if f.kind == kind {
		_, _ = os.Stdout.WriteString("misbehaving: " + f.kind + "\n")
		misbehave(f.how)
	}
}

// inLater waits until the test says so.
func (f fault) inLater(kind string) {
	if f.kind == kind {
		_ = eventually(func() bool {
			_, err := os.Stat(releaseFile(os.Getenv("RUNTIME_DIRECTORY")))
			return err == nil
		})
		f.in(kind)
	}
}

//go:noinline
func misbehave(how string) {
	switch how {
	case "hangs":
		select {}
	case "panics":
		panic("out of order")
	case "exits":
		runtime.Goexit()
	}
}

// faulty is a program in which one function of each kind that a Service calls
// misbehaves.
func faulty(options lifecycle.Options) error {
	var f fault
	options.Health = func(context.Context) error { f.in("health"); return nil }
	output := &faultyOutput{fault: &f}
	options.Logger = hclog.New(&hclog.LoggerOptions{Name: "daemon", Level: hclog.Debug, Output: output})
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	f = faultOf(service)
	if f.kind == "unread-log" {
		if err := stopReadingLog(); err != nil {
			return err
		}
	}
	if err := serveFaulty(service, f); err != nil {
		return err
	}
	if err := service.PassState("account", func() (lifecycle.PassedState, error) {
		f.in("state")
		return lifecycle.PassedState{Data: []byte(strconv.Itoa(service.Generation()))}, nil
	}); err != nil {
		return err
	}
	service.Defer("hook", func(context.Context) error { f.in("hook"); return nil })
	if err := service.Go("worker", func(ctx context.Context) error {
		f.inLater("worker")
		<-ctx.Done()
		return nil
	}); err != nil {
		return err
	}
	return service.Run(context.Background())
}

func serveFaulty(service *lifecycle.Service, f fault) error {
	network, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	listener, err := service.Listen("http", network, address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", handler(service.Generation()))
	mux.Handle("/livez", service.Liveness())
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, r *http.Request) {
		if stream, err := service.Hijack(w, r); err == nil {
			fmt.Println("hijacked")
			<-stream.Draining()
			_ = stream.HandOver(nil)
		}
	})
	server := &http.Server{
		Handler: mux,
		ConnState: func(_ net.Conn, state http.ConnState) {
			f.in("ConnState-" + state.String())
		},
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context { f.in("ConnContext"); return ctx },
		BaseContext: func(net.Listener) context.Context { f.in("BaseContext"); return context.Background() },
	}
	if f.kind == "listener-close" || f.kind == "conn-close" {
		own := faultyListener{listener, f}
		if err := service.Serve(own, &lineServer{}); err != nil {
			return err
		}
	} else if err := service.HTTP(listener, server); err != nil {
		return err
	} else if err := service.ServeHijacked(listener, func(*lifecycle.Stream) { f.in("hijacked") }); err != nil {
		return err
	}
	dir := os.Getenv("RUNTIME_DIRECTORY")
	streams, err := service.Listen("streams", "unix", filepath.Join(dir, "streams"))
	if err != nil {
		return err
	}
	if err := service.ServeStreams(streams, func(c *lifecycle.Stream) { f.in("stream"); <-c.Draining() }); err != nil {
		return err
	}
	lines, err := service.Listen("lines", "unix", filepath.Join(dir, "lines"))
	if err != nil {
		return err
	}
	return service.Serve(lines, &faultyServer{fault: f})
}

// A faultyServer is told to end in both ways.
type faultyServer struct {
	lineServer
	fault fault
}

func (s *faultyServer) Serve(l net.Listener) error {
	s.fault.inLater("serve")
	return s.lineServer.Serve(l)
}

func (s *faultyServer) Shutdown(context.Context) error {
	s.fault.in("shutdown")
	s.conns.Wait()
	return nil
}

func (s *faultyServer) Close() error {
	s.fault.in("kill")
	return nil
}

type faultyListener struct {
	net.Listener
	fault fault
}

func (l faultyListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return faultyConn{nc, l.fault}, err
}

func (l faultyListener) Close() error {
	l.fault.in("listener-close")
	return l.Listener.Close()
}

type faultyConn struct {
	net.Conn
	fault fault
}

func (c faultyConn) Close() error {
	c.fault.in("conn-close")
	return c.Conn.Close()
}

// A faultyOutput is what the log is written to.
type faultyOutput struct{ fault *fault }

func (o *faultyOutput) Write(p []byte) (int, error) {
	if o.fault.kind == "log" {
		misbehave(o.fault.how)
	}
	return os.Stderr.Write(p)
}

// stopReadingLog makes standard error a pipe that is full, and standard input
// its other end, of which nobody reads: here and in later generations.
func stopReadingLog() error {
	fds := make([]int, 2)
	if err := unix.Pipe2(fds, unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return err
	}
	for n := 1 << 12; n > 0; {
		if _, err := unix.Write(fds[1], make([]byte, n)); err != nil {
			n /= 2
		}
	}
	if err := unix.SetNonblock(fds[1], false); err != nil {
		return err
	}
	if err := unix.Dup2(fds[0], 0); err != nil {
		return err
	}
	return unix.Dup2(fds[1], 2)
}
