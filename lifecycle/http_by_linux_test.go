package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// limited is a listener that a framework puts around its own.
type limited struct{ net.Listener }

// underFramework has something like a framework serve server, in the way that
// how says. It reads its configuration late, and puts a handler around that of
// the program.
func underFramework(service *lifecycle.Service, how string, server *http.Server, config string) error {
	listener, err := service.Listen("http", "tcp", server.Addr)
	if err != nil {
		return err
	}
	told, broken := make(chan struct{}), make(chan struct{})
	server.RegisterOnShutdown(func() {
		fmt.Fprintln(os.Stderr, "the framework is told to shut down")
		close(told)
	})
	err = service.HTTPBy(listener, server, func(l net.Listener) error {
		if reason, err := os.ReadFile(filepath.Join(config, "web.txt")); err == nil {
			return errors.New(string(reason))
		}
		inner := server.Handler
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/break" {
				go func() {
					close(broken)
					_ = server.Close()
				}()
			}
			w.Header().Set("Framework", "yes")
			inner.ServeHTTP(w, r)
		})
		var err error
		defer fmt.Fprintln(os.Stderr, "the framework has ended")
		switch how {
		case "Serve":
			err = server.Serve(l)
		case "ServeTLS":
			err = server.ServeTLS(l, filepath.Join(config, "cert.pem"), filepath.Join(config, "key.pem"))
		case "around":
			return server.Serve(limited{l})
		default:
			return http.Serve(l, server.Handler)
		}
		if errors.Is(err, http.ErrServerClosed) {
			select { // net/http does not wait for the function, and the process may end before it runs
			case <-told:
			case <-broken:
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return service.Run(context.Background())
}

// startFramework starts a daemon whose server a framework serves.
func startFramework(t *testing.T, how string, env ...string) (*local, string) {
	t.Helper()
	config := t.TempDir()
	writeCertificate(t, config, 1)
	return startLocal(t, "tcp", append(env, "HEIRLOOM_TEST_ROLE=main", "HEIRLOOM_TEST_MAIN=by "+how,
		"HEIRLOOM_TEST_CONFIG="+config, "HEIRLOOM_TEST_MOVE_TLS=1")...), config
}

// TestHTTPBy has connections of a server that a framework serves outlive
// reloads, beside and in place, with and without TLS, and its handler answer. A
// configuration that the framework does not like fails the reload.
func TestHTTPBy(t *testing.T) {
	for how, dial := range map[string]func(*local) *client{"Serve": (*local).dial, "ServeTLS": (*local).dialTLS} {
		for _, mode := range []string{"beside", "in-place"} {
			t.Run(how+" "+mode, func(t *testing.T) {
				d, config := startFramework(t, how, "HEIRLOOM_TEST_REPLACE="+mode, "HEIRLOOM_TEST_DRY_RUN="+map[string]string{"in-place": "1"}[mode])
				c := dial(d)
				for generation := 1; generation <= 3; generation++ {
					c.ask("/")
					c.framed(generation)
					writeConfig(t, config, "web.txt", "the framework has a bad day")
					if out, err := d.run("reload"); exitStatus(err) != 1 || !strings.Contains(out, "a bad day") {
						t.Errorf("a reload with a bad configuration: %v, %q", err, out)
					}
					if err := os.Remove(filepath.Join(config, "web.txt")); err != nil {
						t.Fatal(err)
					}
					c.ask("/")
					c.framed(generation)
					d.reload()
					d.eventually("the next generation", func() bool { s := d.status(); return s.Generation == generation+1 && s.State == lifecycle.Ready })
					d.awaitAlone()
				}
				c.ask("/")
				c.framed(4)
				d.signal(syscall.SIGTERM)
				d.eventually("the end of all", func() bool { return len(d.processes()) == 0 })
				for _, text := range []string{"the framework is told to shut down", "the framework has ended"} {
					if n := strings.Count(d.logged(), text); n != 4 {
						t.Errorf("the log has %q %d times, want 4, one for each generation", text, n)
					}
				}
			})
		}
	}
}

// framed is answer for one that went through the framework's handler.
func (c *client) framed(generation int) {
	c.t.Helper()
	_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
	if _, err := c.reader.Peek(1); err != nil {
		c.t.Fatal(err)
	}
	header, _ := c.reader.Peek(c.reader.Buffered())
	if !strings.Contains(string(header), "Framework: yes") {
		c.t.Errorf("the framework's handler did not answer: %q", header)
	}
	c.answer(generation)
}

// TestHTTPByRefuses has frameworks serve in ways that cannot be kept up: the
// program does not start, and says why.
func TestHTTPByRefuses(t *testing.T) {
	for how, want := range map[string]string{
		"around":         "a lifecycle_test.limited is around it",
		"another server": "the server serves 0 listeners",
	} {
		t.Run(how, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "HEIRLOOM_TEST_ROLE=main", "HEIRLOOM_TEST_MAIN=by "+how, "RUNTIME_DIRECTORY="+t.TempDir(),
				"HEIRLOOM_TEST_CONFIG="+t.TempDir(), "HEIRLOOM_TEST_LISTEN=tcp!127.0.0.1:0")
			out, err := cmd.CombinedOutput()
			if exitStatus(err) != 1 || !strings.Contains(string(out), lifecycle.ErrOtherServer.Error()) || !strings.Contains(string(out), want) {
				t.Errorf("%v, %q", err, out)
			}
		})
	}
}

// TestHTTPByEnds has the framework's server end by itself, which it must not.
func TestHTTPByEnds(t *testing.T) {
	d, _ := startFramework(t, "Serve")
	c := d.dial()
	c.ask("/break")
	if err := d.awaitExit(); err == nil {
		t.Error("the process ended well")
	}
	if !strings.Contains(d.logged(), "daemon: http: "+http.ErrServerClosed.Error()) {
		t.Error("the program does not say why it ended")
	}
}

// TestHTTPByLoad has all kinds of clients while the process is replaced.
func TestHTTPByLoad(t *testing.T) {
	d, _ := startFramework(t, "Serve")
	load := loadtest.Start(loadtest.Target{Address: d.address}, loadtest.OfEach(2))
	for generation := 2; generation <= 6; generation++ {
		d.reload()
		if err := load.WaitGeneration(t.Context(), generation); err != nil {
			t.Fatal(err)
		}
	}
	loadtest.Verify(t, load.Stop())
}
