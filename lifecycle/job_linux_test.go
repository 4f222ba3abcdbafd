package lifecycle_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// jobs is a program with a worker, and with a server of lines on the socket
// named lines, in the shape that HEIRLOOM_TEST_SERVER says. Over HTTP the
// worker is told how to end: /end?how=.
func jobs(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	network, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	listener, err := service.Listen("http", network, address)
	if err != nil {
		return err
	}
	lines, err := service.Listen("lines", "unix", os.Getenv("RUNTIME_DIRECTORY")+"/lines")
	if err != nil {
		return err
	}
	w := &worker{generation: service.Generation(), end: make(chan string)}
	mux := http.NewServeMux()
	mux.Handle("/", holdingHandler(service.Generation()))
	mux.HandleFunc("/end", func(_ http.ResponseWriter, r *http.Request) { w.end <- r.FormValue("how") })
	if err := errors.Join(
		service.HTTP(listener, &http.Server{Handler: mux}),
		service.Serve(lines, lineServers[os.Getenv("HEIRLOOM_TEST_SERVER")](&lineServer{})),
		service.Go("worker", w.work),
	); err != nil {
		return err
	}
	return service.Run(context.Background())
}

type worker struct {
	generation int
	end        chan string
}

func (w *worker) work(ctx context.Context) error {
	fmt.Fprintf(os.Stderr, "the worker of %d begins\n", w.generation)
	select {
	case <-ctx.Done():
		fmt.Fprintf(os.Stderr, "the worker of %d ends: %v\n", w.generation, context.Cause(ctx))
		return nil
	case how := <-w.end:
		switch how {
		case "":
			return nil
		case "panic":
			panic("out of work")
		default:
			return errors.New(how)
		}
	}
}

// A lineServer says each line back. It is no Server that can be told to end,
// but the types below are.
type lineServer struct{ conns sync.WaitGroup }

// lineServers are the shapes of servers there are.
var lineServers = map[string]func(*lineServer) lifecycle.Server{
	"":                        func(s *lineServer) lifecycle.Server { return s },
	"Shutdown":                func(s *lineServer) lifecycle.Server { return withShutdown{s} },
	"ShutdownWithContext":     func(s *lineServer) lifecycle.Server { return withShutdownContext{withPlainShutdown{s}} },
	"plain Shutdown":          func(s *lineServer) lifecycle.Server { return withPlainShutdown{s} },
	"bare Shutdown":           func(s *lineServer) lifecycle.Server { return withBareShutdown{s} },
	"GracefulStop with error": func(s *lineServer) lifecycle.Server { return withGracefulStopError{withStopError{s}} },
	"http.Server":             func(*lineServer) lifecycle.Server { return new(http.Server) },
	"embedded http.Server":    func(*lineServer) lifecycle.Server { return struct{ *http.Server }{new(http.Server)} },
	"hidden http.Server":      func(*lineServer) lifecycle.Server { return lifecycle.ServerFunc(new(http.Server).Serve) },
	"ServerFunc":              func(s *lineServer) lifecycle.Server { return lifecycle.ServerFunc(s.Serve) },
	"GracefulStop":            func(s *lineServer) lifecycle.Server { return withGracefulStop{withStop{s}} },
	"Stop":                    func(s *lineServer) lifecycle.Server { return withStop{s} },
	"Stop with error":         func(s *lineServer) lifecycle.Server { return withStopError{s} },
	"Close":                   func(s *lineServer) lifecycle.Server { return withClose{s} },
	"hanging Shutdown":        func(s *lineServer) lifecycle.Server { return hangingShutdown{withClose{s}} },
	"hanging Stop":            func(s *lineServer) lifecycle.Server { return hangingStop{s} },
	"broken":                  func(*lineServer) lifecycle.Server { return broken{} },
	"slow to greet":           func(*lineServer) lifecycle.Server { return &slowToGreet{quit: make(chan struct{})} },
}

func (s *lineServer) Serve(l net.Listener) error {
	for {
		nc, err := l.Accept()
		if errors.Is(err, net.ErrClosed) { // as servers do that have been told to end
			return nil
		}
		if err != nil {
			return err
		}
		s.conns.Go(func() {
			defer nc.Close()
			for r := bufio.NewReader(nc); ; {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				fmt.Fprint(nc, line)
			}
		})
	}
}

func toldBy(how string) { fmt.Fprintln(os.Stderr, "the server was told:", how) }

type withShutdown struct{ *lineServer }

func (s withShutdown) Shutdown(context.Context) error {
	toldBy("Shutdown")
	s.conns.Wait()
	return nil
}

// withPlainShutdown is told as fasthttp and fiber are, but for their contexts.
type withPlainShutdown struct{ *lineServer }

func (s withPlainShutdown) Shutdown() error {
	toldBy("plain Shutdown")
	s.conns.Wait()
	return nil
}

type withShutdownContext struct{ withPlainShutdown }

func (s withShutdownContext) ShutdownWithContext(context.Context) error {
	toldBy("ShutdownWithContext")
	s.conns.Wait()
	return nil
}

type withBareShutdown struct{ *lineServer }

func (s withBareShutdown) Shutdown() {
	toldBy("bare Shutdown")
	s.conns.Wait()
}

type withGracefulStopError struct{ withStopError }

func (s withGracefulStopError) GracefulStop() error {
	toldBy("GracefulStop with error")
	s.conns.Wait()
	return nil
}

type withStop struct{ *lineServer }

func (s withStop) Stop() { toldBy("Stop") }

type withGracefulStop struct{ withStop }

func (s withGracefulStop) GracefulStop() {
	toldBy("GracefulStop")
	s.conns.Wait()
}

type withStopError struct{ *lineServer }

func (s withStopError) Stop() error {
	toldBy("Stop with error")
	s.conns.Wait()
	return nil
}

type withClose struct{ *lineServer }

func (s withClose) Close() error {
	toldBy("Close")
	return nil
}

type hangingShutdown struct{ withClose }

func (s hangingShutdown) Shutdown(context.Context) error {
	toldBy("Shutdown")
	select {}
}

type hangingStop struct{ *lineServer }

func (s hangingStop) Stop() {
	toldBy("Stop")
	select {}
}

type broken struct{}

func (broken) Serve(l net.Listener) error {
	if nc, err := l.Accept(); err == nil {
		_ = nc.Close()
	}
	return errors.New("it broke")
}

// lines connects to the server of lines and has it answer once.
func (d *local) lines() *client {
	d.t.Helper()
	nc, err := net.Dial("unix", d.dir+"/lines")
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = nc.Close() })
	c := &client{d.t, nc, bufio.NewReader(nc)}
	c.sayBack("hello")
	return c
}

// sayBack says a line and wants it said back.
func (c *client) sayBack(line string) {
	c.t.Helper()
	c.say(line + "\n")
	c.expect(line)
}

// TestServers stops a service with a server of each shape, whose connection is
// in use: it is told by what it has, and waited for.
func TestServers(t *testing.T) {
	t.Parallel()
	for _, shape := range []string{
		"", "Shutdown", "ShutdownWithContext", "plain Shutdown", "bare Shutdown", "GracefulStop", "GracefulStop with error", "Stop",
		"Stop with error", "Close", "ServerFunc",
	} {
		t.Run("with "+shape, func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=jobs", "HEIRLOOM_TEST_LINGER=100ms", "HEIRLOOM_TEST_SERVER="+shape)
			busy := d.lines()
			if s := d.status(); s.Connections.Others != 1 {
				t.Errorf("status %+v, want one other connection", s)
			}
			d.signal(syscall.SIGTERM)
			d.eventually("the service to drain", func() bool { return d.status().State == lifecycle.Draining })
			if shape != "" && shape != "Close" && shape != "ServerFunc" {
				d.eventually("the server to be told", func() bool { return strings.Contains(d.logged(), "told: "+shape+"\n") })
			}
			busy.sayBack("still there")
			_ = busy.Close()
			if err := d.awaitExit(); err != nil {
				t.Error(err)
			}
			if n := strings.Count(d.logged(), "the server was told"); n > 1 || n == 1 && shape == "Close" {
				t.Error("the server was told more than it needs")
			}
		})
	}
}

// TestServerWarnings starts a service with servers whose end is not known, or
// that HTTP knows better: the log says so at once.
func TestServerWarnings(t *testing.T) {
	t.Parallel()
	for shape, want := range map[string]string{
		"":                     "has no method that tells it to finish",
		"Close":                "has no method that tells it to finish",
		"plain Shutdown":       "",
		"http.Server":          "an http.Server belongs to Service.HTTP",
		"embedded http.Server": "an http.Server belongs to Service.HTTP",
		"hidden http.Server":   "an http.Server serves inside a server of Service.Serve",
		"ServerFunc":           "",
	} {
		t.Run("with "+shape, func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, "unix", "HEIRLOOM_TEST_ROLE=jobs", "HEIRLOOM_TEST_LINGER=100ms", "HEIRLOOM_TEST_SERVER="+shape)
			if want == "" && strings.Contains(d.logged(), "[WARN]") {
				t.Error("the log says more than it should")
			}
			d.eventually("the log to say "+want, func() bool { return strings.Contains(d.logged(), want) })
		})
	}
}

// TestHangingServers stops a service with a server that does not end, or whose
// connection does not: it is ended in the end.
func TestHangingServers(t *testing.T) {
	t.Parallel()
	tests := map[string]string{"hanging Shutdown": "Shutdown Close", "hanging Stop": "Stop Stop", "GracefulStop": "GracefulStop Stop", "": "", "Close": "Close"}
	for shape, want := range tests {
		t.Run("with "+shape, func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=jobs", "HEIRLOOM_TEST_DRAIN="+span(time.Second), "HEIRLOOM_TEST_LINGER=100ms", "HEIRLOOM_TEST_SERVER="+shape)
			busy := d.lines()
			d.signal(syscall.SIGTERM)
			busy.closed()
			checkDrainTimeout(t, d)
			var calls []string
			for _, line := range strings.Split(d.logged(), "\n") {
				if how, ok := strings.CutPrefix(line, "the server was told: "); ok {
					calls = append(calls, how)
				}
			}
			if got := strings.Join(calls, " "); got != want {
				t.Errorf("the server was told %q, want %q", got, want)
			}
			if !strings.Contains(d.logged(), `cancelling what is left: left="1 other connection, lines"`) && shape != "" && shape != "Close" {
				t.Error("the log does not say what was waited for")
			}
		})
	}
}

// TestWorker follows the worker of each generation: it works from when its
// process is the main one until that drains.
func TestWorker(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=jobs", "HEIRLOOM_TEST_LINGER=100ms")
	if s := d.status(); len(s.Jobs) != 2 || s.Jobs[0] != "lines" || s.Jobs[1] != "worker" {
		t.Errorf("jobs %v, want the server and the worker", s.Jobs)
	}
	busy := d.hold()
	d.reload()
	d.release()
	busy.answer(1)
	for _, want := range []string{"the worker of 1 begins", "the worker of 2 begins", "the worker of 1 ends: " + lifecycle.ErrReplaced.Error()} {
		d.eventually("the log to say "+want, func() bool { return strings.Contains(d.logged(), want) })
	}
	d.signal(syscall.SIGTERM)
	if err := eventually(func() bool { return len(d.processes()) == 0 }); err != nil {
		t.Error(err)
	}
	if want := "the worker of 2 ends: " + lifecycle.ErrStopping.Error(); !strings.Contains(d.logged(), want) {
		t.Errorf("the log has no %q", want)
	}
}

// TestWorkerEnds has a worker end by itself: if it says that it failed the
// service stops with its error, having finished what it had begun.
func TestWorkerEnds(t *testing.T) {
	t.Parallel()
	for how, want := range map[string]string{"torn": "worker: torn", "panic": "worker: panic: out of work"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=jobs", "HEIRLOOM_TEST_LINGER=100ms")
			checkBreakdown(t, d, want, func() { d.dial().ask("/end?how=" + how) })
		})
	}
	t.Run("well", func(t *testing.T) {
		t.Parallel()
		d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=jobs", "HEIRLOOM_TEST_LINGER=100ms")
		d.dial().ask("/end")
		d.eventually("the worker to end", func() bool { s := d.status(); return len(s.Jobs) == 1 && s.State == lifecycle.Ready })
		d.signal(syscall.SIGTERM)
		if err := d.awaitExit(); err != nil {
			t.Error(err)
		}
	})
}

// TestServerEnds has a server of Serve end by itself, which it must not.
func TestServerEnds(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=jobs", "HEIRLOOM_TEST_LINGER=100ms", "HEIRLOOM_TEST_SERVER=broken")
	checkBreakdown(t, d, "lines: it broke", func() {
		nc, err := net.Dial("unix", d.dir+"/lines")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
	})
}

// checkBreakdown has something break while there is a request, and wants the
// service to end with that error after the answer.
func checkBreakdown(t *testing.T, d *local, want string, breakIt func()) {
	t.Helper()
	busy := d.hold()
	breakIt()
	d.eventually("the service to drain", func() bool { return d.status().State == lifecycle.Draining })
	d.release()
	busy.answer(1)
	if err := d.awaitExit(); err == nil {
		t.Error("the process ended well")
	}
	if !strings.Contains(d.logged(), "daemon: "+want) {
		t.Errorf("the program does not say %q", want)
	}
}
