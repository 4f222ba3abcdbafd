package lifecycle_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// hostile is a program for clients that do not do their part.
func hostile(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	if d := duration("HEIRLOOM_TEST_SILENCE"); d > 0 {
		service.SetSilence(d)
	}
	network, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	listener, err := service.Listen("http", network, address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", handler(service.Generation()))
	mux.HandleFunc("/ignore", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		d, _ := time.ParseDuration(r.FormValue("d"))
		time.Sleep(d)
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) {
		page := make([]byte, 1<<20)
		for err := error(nil); err == nil; {
			_, err = w.Write(page)
		}
	})
	mux.HandleFunc("/patient", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		_, _ = io.Copy(io.Discard, r.Body)
	})
	mux.HandleFunc("/work", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	server := &http.Server{Handler: mux}
	if os.Getenv("HEIRLOOM_TEST_TLS") != "" {
		server.TLSConfig = selfSigned()
	}
	if os.Getenv("HEIRLOOM_TEST_OWN_HTTP2") != "" {
		server.TLSNextProto = ownHTTP2()
	}
	if err := service.HTTP(putAround(listener), server); err != nil {
		return err
	}
	return service.Run(context.Background())
}

const (
	halfLine    = "GET / HT"
	halfHeader  = "GET / HTTP/1.1\r\nHost: te"
	wholeGet    = "GET / HTTP/1.1\r\nHost: test\r\n\r\n"
	halfBody    = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n123"
	noBody      = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n"
	halfChunks  = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12"
	expects     = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"
	unreadBody  = "POST /ignore HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n123"
	noDeadline  = "POST /patient HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n123"
	bigGet      = "GET /big HTTP/1.1\r\nHost: test\r\n\r\n"
	works       = "GET /work HTTP/1.1\r\nHost: test\r\n\r\n"
	worksOnBody = "POST /work HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc"
	halfPreface = "PRI * HTTP/2.0\r\n\r\nSM"
)

func startHostile(t *testing.T, network string, env ...string) *local {
	t.Helper()
	return startLocal(t, network, append(env, "HEIRLOOM_TEST_ROLE=hostile", "HEIRLOOM_TEST_LINGER=100ms")...)
}

// leave dials with each protocol and leaves what was sent there.
func (d *local) leave(protocol string, sent ...string) {
	d.t.Helper()
	for _, text := range sent {
		c := d.dialProtocol(protocol)
		for strings.HasPrefix(text, wholeGet) && protocol != "half a handshake" {
			c.write(wholeGet)
			c.answer(1)
			text = strings.TrimPrefix(text, wholeGet)
		}
		c.write(text)
	}
}

func (d *local) dialProtocol(protocol string) *client {
	d.t.Helper()
	switch protocol {
	case "h2":
		nc, err := tls.Dial(d.network, d.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			d.t.Fatal(err)
		}
		d.t.Cleanup(func() { _ = nc.Close() })
		return &client{t: d.t, Conn: nc}
	case "https", "moving https":
		return d.dialTLS()
	default:
		return d.dial()
	}
}

// clientHello is how a TLS handshake begins.
func clientHello(t *testing.T) string {
	t.Helper()
	var sent bytes.Buffer
	_ = tls.Client(recorder{w: &sent}, &tls.Config{InsecureSkipVerify: true}).Handshake()
	return sent.String()
}

type recorder struct {
	net.Conn
	w io.Writer
}

func (r recorder) Read([]byte) (int, error)    { return 0, io.EOF }
func (r recorder) Write(p []byte) (int, error) { return r.w.Write(p) }
func (r recorder) Close() error                { return nil }

// TestUnfinishedRequests stops while clients have sent a part of a request, or
// of what comes before it, and send no more. The drain does not wait for them
// to its deadline, which is in an hour, and the stop is a good one.
func TestUnfinishedRequests(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"tcp", "unix", "https", "h2", "half a handshake"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			d := startUnfinished(t, protocol)
			d.signal(syscall.SIGTERM)
			if err := d.awaitExit(); err != nil {
				t.Error(err)
			}
			if said := "clients kept the drain waiting"; !strings.Contains(d.logged(), said) {
				t.Errorf("the log has no %q:\n%s", said, d.logged())
			}
		})
	}
}

// TestUnfinishedRequestsReload is the same for a generation that was replaced.
func TestUnfinishedRequestsReload(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"tcp", "https", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			d := startUnfinished(t, protocol)
			d.reload()
			d.eventually("the predecessor to end", func() bool { return len(d.processes()) == 1 })
		})
	}
}

func startUnfinished(t *testing.T, protocol string) *local {
	t.Helper()
	network, env := "tcp", []string{"HEIRLOOM_TEST_DRAIN=1h", "HEIRLOOM_TEST_SILENCE=300ms"}
	switch protocol {
	case "unix":
		network = "unix"
	case "https", "h2", "half a handshake":
		env = append(env, "HEIRLOOM_TEST_TLS=yes")
	}
	d := startHostile(t, network, env...)
	switch protocol {
	case "h2":
		d.leave(protocol, halfPreface[:3], halfPreface)
	case "half a handshake":
		hello := clientHello(t)
		d.leave(protocol, hello[:3], hello[:50], hello)
		d.eventually("the connections to be accepted", func() bool { return d.status().Connections.New == 3 })
	default:
		d.leave(protocol, halfLine, halfHeader, wholeGet+halfLine, wholeGet+halfHeader)
	}
	return d
}

// TestUnfinishedBodies stops while handlers wait for their clients and there is
// nothing else to do: others wait for this process to end.
func TestUnfinishedBodies(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "https", "moving https"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			env := []string{"HEIRLOOM_TEST_DRAIN=1h", "HEIRLOOM_TEST_SILENCE=300ms"}
			left := []string{halfBody, noBody, halfChunks, expects, unreadBody, bigGet}
			switch network {
			case "https":
				env = append(env, "HEIRLOOM_TEST_TLS=yes")
			case "moving https":
				env, left = append(env, "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_MOVE_TLS=yes"), append(left, noDeadline)
			case "tcp":
				left = append(left, noDeadline)
			}
			d := startHostile(t, "tcp", env...)
			d.leave(network, left...)
			d.eventually("the requests to arrive", func() bool { return d.status().Requests == len(left) })
			d.signal(syscall.SIGTERM)
			if err := d.awaitExit(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestHalfRecord stops while a session that could move, but has nowhere to go, is
// at rest but for a part of a record.
func TestHalfRecord(t *testing.T) {
	t.Parallel()
	d := startHostile(t, "tcp", "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_MOVE_TLS=yes", "HEIRLOOM_TEST_DRAIN=1h", "HEIRLOOM_TEST_SILENCE=300ms")
	socket, c, shook := d.dialWithheld()
	socket.release(t)
	if err := <-shook; err != nil {
		t.Fatal(err)
	}
	c.ask("/")
	c.answer(1)
	socket.hold()
	c.ask("/")
	socket.send(t, 20)
	d.signal(syscall.SIGTERM)
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
	if said := "clients kept the drain waiting"; !strings.Contains(d.logged(), said) {
		t.Errorf("the log has no %q:\n%s", said, d.logged())
	}
}

// TestSlowRequest stops while a client sends a header byte by byte, for longer
// than one may be silent.
func TestSlowRequest(t *testing.T) {
	t.Parallel()
	silence := patience.Of(4 * time.Second)
	d := startHostile(t, "tcp", "HEIRLOOM_TEST_DRAIN=1h", "HEIRLOOM_TEST_SILENCE="+silence.String())
	c := d.dial()
	c.write(halfHeader)
	d.eventually("the connection to be accepted", func() bool { return d.status().Connections.New == 1 })
	d.signal(syscall.SIGTERM)
	for began := time.Now(); time.Since(began) < silence*3/2; time.Sleep(silence / 20) {
		c.write("x")
	}
	c.write("\r\n\r\n")
	c.answer(1)
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
}

// TestClientsKeepStopWaiting stops while handlers wait for their clients, which
// use up all of the time. That is no failure.
func TestClientsKeepStopWaiting(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix", "https"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			d := startWaiting(t, network)
			d.leave(network, halfBody, noBody, halfChunks, expects, unreadBody, bigGet)
			d.eventually("the requests to arrive", func() bool { return d.status().Requests == 6 })
			d.signal(syscall.SIGTERM)
			if err := d.awaitExit(); err != nil {
				t.Error(err)
			}
			if said := "closing what waits for its client: requests=5 responses=1 idle=0"; !strings.Contains(d.logged(), said) {
				t.Errorf("the log has no %q:\n%s", said, d.logged())
			}
		})
	}
}

func startWaiting(t *testing.T, network string) *local {
	t.Helper()
	// The time ends before a client is taken to be silent.
	drain := patience.Of(5 * time.Second)
	env := []string{"HEIRLOOM_TEST_DRAIN=" + drain.String(), "HEIRLOOM_TEST_SILENCE=" + (2 * drain).String()}
	if network == "https" {
		network, env = "tcp", append(env, "HEIRLOOM_TEST_TLS=yes")
	}
	return startHostile(t, network, env...)
}

// TestWorkFailsStop has one handler work beside those that wait: it is cut, and
// the stop fails for it.
func TestWorkFailsStop(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix", "https"} {
		for name, work := range map[string]string{"GET": works, "POST": worksOnBody} {
			t.Run(network+"/"+name, func(t *testing.T) {
				t.Parallel()
				d := startWaiting(t, network)
				d.leave(network, halfBody, bigGet, work)
				d.eventually("the requests to arrive", func() bool { return d.status().Requests == 3 })
				d.signal(syscall.SIGTERM)
				checkDrainTimeout(t, d)
				for _, said := range []string{"cancelling what is left: left=\"1 request\"", "requests=1 responses=1 idle=0"} {
					if !strings.Contains(d.logged(), said) {
						t.Errorf("the log has no %q:\n%s", said, d.logged())
					}
				}
			})
		}
	}
}

// TestPredecessorCutsWork stops a service of which an older generation works on
// a request: that it is cut is the failure of the process that systemd asks.
func TestPredecessorCutsWork(t *testing.T) {
	t.Parallel()
	for work, fails := range map[string]bool{works: true, halfBody: false} {
		t.Run(fmt.Sprint("fails ", fails), func(t *testing.T) {
			t.Parallel()
			d := startWaiting(t, "tcp")
			d.leave("tcp", work)
			d.eventually("the request to arrive", func() bool { return d.status().Requests == 1 })
			d.reload()
			d.signal(syscall.SIGTERM)
			d.eventually("both processes to end", func() bool { return len(d.processes()) == 0 })
			// Each that has cut work says so as its last word.
			if n, want := strings.Count(d.logged(), "daemon: "+lifecycle.ErrDrainTimeout.Error()), map[bool]int{true: 2}[fails]; n != want {
				t.Errorf("%d processes have failed, want %d:\n%s", n, want, d.logged())
			}
		})
	}
}

// TestControlLeft leaves connections to the control socket, new or with a part
// of a request: neither a reload nor a stop waits for them.
func TestControlLeft(t *testing.T) {
	t.Parallel()
	for _, replace := range []string{"beside", "in-place"} {
		t.Run(replace, func(t *testing.T) {
			t.Parallel()
			d := startHostile(t, "tcp", "HEIRLOOM_TEST_DRAIN=1h", "HEIRLOOM_TEST_SILENCE=300ms", "HEIRLOOM_TEST_REPLACE="+replace)
			d.leaveControl(50)
			d.reload()
			d.eventually("the predecessor to end", func() bool { return len(d.processes()) == 1 && d.status().Generation == 2 })
			d.leaveControl(50)
			d.signal(syscall.SIGTERM)
			d.eventually("the service to end", func() bool { return len(d.processes()) == 0 })
			if strings.Contains(d.logged(), lifecycle.ErrDrainTimeout.Error()) {
				t.Errorf("the stop failed:\n%s", d.logged())
			}
		})
	}
}

func (d *local) leaveControl(n int) {
	d.t.Helper()
	reload := "POST /reload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
	status := "GET /status HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
	for range n {
		for _, text := range []string{"", halfLine, halfHeader, strings.Replace(reload, "/reload", "/nothing", 1), status} {
			nc, err := net.Dial("unix", filepath.Join(d.dir, "control"))
			if err != nil {
				d.t.Fatal(err)
			}
			d.t.Cleanup(func() { _ = nc.Close() })
			if _, err := io.WriteString(nc, text); err != nil && !errors.Is(err, syscall.EPIPE) {
				d.t.Fatal(err)
			}
		}
	}
}
