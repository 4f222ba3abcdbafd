package lifecycle_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// A watcher is a program that looks at all that net/http shows it, by the
// fields of its http.Server. It sets them after HTTP.
type watcher struct {
	server   *http.Server
	shutdown chan struct{} // closed by a function of RegisterOnShutdown

	mu   sync.Mutex
	open map[net.Conn]bool
}

type watchedConn struct{}
type watchedListener struct{}

func watchHTTP(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	network, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	listener, err := service.Listen("http", network, address)
	if err != nil {
		return err
	}
	w := &watcher{server: new(http.Server), shutdown: make(chan struct{}), open: make(map[net.Conn]bool)}
	if os.Getenv("HEIRLOOM_TEST_TLS") != "" {
		w.server.TLSConfig = selfSigned()
	}
	if err := service.HTTP(listener, w.server); err != nil {
		return err
	}
	w.server.BaseContext = func(l net.Listener) context.Context {
		return context.WithValue(context.Background(), watchedListener{}, l)
	}
	w.server.ConnContext = w.connContext
	w.server.ConnState = w.connState
	w.server.Handler = w.handler(service.Generation())
	if os.Getenv("HEIRLOOM_TEST_SHUTDOWN") != "" {
		w.server.RegisterOnShutdown(func() {
			fmt.Fprintf(os.Stderr, "shutdown of generation %d\n", service.Generation())
			close(w.shutdown)
		})
	}
	if err := service.Run(context.Background()); err != nil {
		return err
	}
	if err := eventually(func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.open) == 0 }); err != nil {
		fmt.Fprintln(os.Stderr, "BAD connections are left in the map")
	}
	return nil
}

func (w *watcher) connContext(ctx context.Context, nc net.Conn) context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[nc] = false
	return context.WithValue(ctx, watchedConn{}, nc)
}

func (w *watcher) connState(nc net.Conn, state http.ConnState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	isNew, known := w.open[nc]
	if !known || isNew == (state == http.StateNew) {
		fmt.Fprintf(os.Stderr, "BAD state %v of %T, known %v\n", state, nc, known)
	}
	w.open[nc] = true
	if state == http.StateClosed {
		delete(w.open, nc)
	}
}

func (w *watcher) handler(generation int) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		noteBegun(r)
		if r.URL.Path == "/shutdown" {
			select {
			case <-w.shutdown:
			case <-r.Context().Done():
			}
		}
		ctx := r.Context()
		nc, uid := ctx.Value(watchedConn{}), -1
		if socket, ok := nc.(*net.UnixConn); ok {
			raw, err := socket.SyscallConn()
			if err == nil {
				_ = raw.Control(func(fd uintptr) {
					if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
						uid = int(cred.Uid)
					}
				})
			}
		}
		fmt.Fprintf(rw, "hello from generation %d %T %T uid=%d server=%v\n", generation, nc, ctx.Value(watchedListener{}), uid,
			ctx.Value(http.ServerContextKey) == w.server)
	})
}

// line reads a response of a watcher and returns what is after the generation.
func (c *client) line(generation int) (line string, closes bool) {
	c.t.Helper()
	_ = c.SetReadDeadline(patience.Deadline(time.Minute))
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	line, found := strings.CutPrefix(string(body), fmt.Sprintf("hello from generation %d ", generation))
	if err != nil || !found {
		c.t.Errorf("response %q, %v, want one from generation %d", body, err, generation)
	}
	return strings.TrimSpace(line), response.Close
}

// TestSeenAsItIs checks that the functions of an http.Server, set when HTTP has
// it already, see what net/http alone would show them, before a connection
// moves and after it.
func TestSeenAsItIs(t *testing.T) {
	tests := []struct {
		name, network, want string
		env                 []string
		moves               bool
	}{
		{"unix", "unix", fmt.Sprintf("*net.UnixConn *net.UnixListener uid=%d server=true", os.Getuid()), nil, true},
		{"tcp", "tcp", "*net.TCPConn *net.TCPListener uid=-1 server=true", nil, true},
		{"tls", "tcp", "*tls.Conn *net.TCPListener uid=-1 server=true", []string{"HEIRLOOM_TEST_TLS=yes"}, false},
		{"shutdown", "tcp", "*net.TCPConn *net.TCPListener uid=-1 server=true", []string{"HEIRLOOM_TEST_SHUTDOWN=yes"}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			env := append(test.env, "HEIRLOOM_TEST_ROLE=watcher", "HEIRLOOM_TEST_LINGER="+span(10*time.Second), "HEIRLOOM_TEST_DRAIN=10m")
			d := startLocal(t, test.network, env...)
			dial := d.dial
			if !test.moves {
				dial = d.dialTLS
			}
			c := dial()
			c.ask("/")
			if line, closes := c.line(1); line != test.want || closes {
				t.Errorf("the first generation has %q, closes %v, want %q", line, closes, test.want)
			}
			d.reload()
			generation := 1
			if test.moves {
				d.awaitAlone()
				generation = 2
			}
			c.ask("/")
			if line, closes := c.line(generation); line != test.want || closes == test.moves {
				t.Errorf("after a reload it is %q, closes %v, want %q", line, closes, test.want)
			}
			_ = c.Close()
			d.signal(syscall.SIGTERM)
			d.eventually("both processes to end", func() bool { return len(d.processes()) == 0 })
			if logged := d.logged(); strings.Contains(logged, "BAD") {
				t.Error("a function saw what it should not")
			}
		})
	}
}

// TestSeenByHTTP2 checks the same of HTTP/2, where another server serves.
func TestSeenByHTTP2(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=watcher", "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_SHUTDOWN=yes")
	const want = "hello from generation 1 *tls.Conn *net.TCPListener uid=-1 server=true\n"
	if answer := d.getByHTTP2("/"); answer != want {
		t.Errorf("%q, want %q", answer, want)
	}
}

// getByHTTP2 asks by HTTP/2 over TLS.
func (d *local) getByHTTP2(path string) string {
	d.t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP2(true)
	d.t.Cleanup(transport.CloseIdleConnections)
	response, err := (&http.Client{Transport: transport}).Get("https://" + d.address + path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.ProtoMajor != 2 {
		d.t.Fatalf("%s: %v", response.Proto, err)
	}
	return string(body)
}

// TestRegisterOnShutdown checks that its functions run when a drain begins,
// once in each process, and that nothing breaks for it.
func TestRegisterOnShutdown(t *testing.T) {
	for _, replace := range []string{"beside", "in-place"} {
		t.Run(replace, func(t *testing.T) {
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=watcher", "HEIRLOOM_TEST_SHUTDOWN=yes", "HEIRLOOM_TEST_REPLACE="+replace,
				"HEIRLOOM_TEST_DRAIN=10m")
			waiting, idle := d.dial(), d.dial()
			idle.ask("/")
			idle.line(1)
			d.underWay(waiting, "/shutdown")
			d.reload()
			waiting.line(1)
			idle.ask("/")
			idle.line(2)
			// A client may have its response when the server still looks for
			// the next byte, and would answer here. It has moved by then:
			d.awaitAlone()
			d.underWay(waiting, "/shutdown")
			d.signal(syscall.SIGTERM)
			waiting.line(2)
			_, _ = idle.Close(), waiting.Close()
			d.eventually("the service to end", func() bool { return len(d.processes()) == 0 })
			for generation := 1; generation <= 2; generation++ {
				if n := strings.Count(d.logged(), fmt.Sprintf("shutdown of generation %d\n", generation)); n != 1 {
					t.Errorf("generation %d ran its function %d times", generation, n)
				}
			}
		})
	}
}
