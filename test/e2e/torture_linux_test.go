package e2e_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/units"
)

const (
	tortures     = 100 // clients of each kind
	tortureHTTP  = "127.0.0.1:8080"
	tortureHTTPS = "127.0.0.1:8443"
	controlPath  = "/run/hello/control"
)

// A torture is a client that does not do its part: how it connects, what it
// sends, and whether it reads a response to that, before it sends the rest.
type torture struct {
	name             string
	network, address string
	alpn             string // of a TLS handshake, if there is one
	first, rest      string
}

const tortureHeader = " HTTP/1.1\r\nHost: hello\r\n"

func torturesOf(hello string) []torture {
	post := "POST /" + tortureHeader + "Content-Length: "
	return []torture{
		{name: "nothing", address: tortureHTTP},
		{name: "half a request line", address: tortureHTTP, rest: "GET / HT"},
		{name: "half a header", address: tortureHTTP, rest: "GET /" + tortureHeader},
		{name: "half a header later", address: tortureHTTP, first: "GET /" + tortureHeader + "\r\n", rest: "GET /" + tortureHeader},
		{name: "half a body", address: tortureHTTP, rest: post + "10\r\n\r\n123"},
		{name: "an open 100-continue", address: tortureHTTP, rest: post + "10\r\nExpect: 100-continue\r\n\r\n"},
		{name: "a blank line after a POST", address: tortureHTTP, first: post + "3\r\n\r\nabc", rest: "\r\n"},
		{name: "a response not read", address: tortureHTTP, rest: "GET /endless" + tortureHeader + "\r\n"},
		{name: "nothing over TLS", address: tortureHTTPS},
		{name: "half a handshake", address: tortureHTTPS, rest: hello[:len(hello)/2]},
		{name: "a handshake half done", address: tortureHTTPS, rest: hello},
		{name: "half a body over TLS", address: tortureHTTPS, alpn: "http/1.1", rest: post + "10\r\n\r\n123"},
		{name: "half a preface of HTTP/2", address: tortureHTTPS, alpn: "h2", rest: "PRI * HTTP/2.0\r\n"},
		{name: "half a body over HTTP/2", address: tortureHTTPS, alpn: "h2", rest: http2Request("POST", "/body", false) + "\x00\x00\x03\x00\x00\x00\x00\x00\x01123"},
		{name: "a response over HTTP/2 not read", address: tortureHTTPS, alpn: "h2", rest: http2Request("GET", "/endless", true)},
		{name: "a control connection", network: "unix", address: controlPath},
		{name: "half a control request", network: "unix", address: controlPath, rest: "GET /status" + tortureHeader},
	}
}

// http2Request is what a client of HTTP/2 sends first, with no settings and the
// header of a request, in literals that are not indexed (RFC 7541, 6.2.2). ends
// says that it has no body.
func http2Request(method, path string, ends bool) string {
	var block strings.Builder
	for _, field := range []string{":method", method, ":scheme", "https", ":path", path, ":authority", "hello"} {
		if field[0] == ':' {
			block.WriteByte(0)
		}
		block.WriteByte(byte(len(field)))
		block.WriteString(field)
	}
	flags := "\x04"
	if ends {
		flags = "\x05"
	}
	return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" +
		"\x00\x00" + string(rune(block.Len())) + "\x01" + flags + "\x00\x00\x00\x01" + block.String()
}

// begin brings a connection to where it stays.
func (k torture) begin(nc net.Conn) (net.Conn, error) {
	_ = nc.SetDeadline(patience.Deadline(callerLimit))
	if k.alpn != "" {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{k.alpn}})
	}
	if k.first != "" {
		if _, err := io.WriteString(nc, k.first); err != nil {
			return nc, err
		}
		if _, err := answer(nc); err != nil {
			return nc, err
		}
	}
	_, err := io.WriteString(nc, k.rest)
	return nc, err
}

// Torturers are all of them at a time.
type torturers struct {
	t     *testing.T
	h     *managed
	kinds []torture
	conns []net.Conn
}

func newTorturers(t *testing.T, h *managed) *torturers {
	t.Helper()
	var hello bytes.Buffer
	_ = tls.Client(writeOnly{w: &hello}, &tls.Config{InsecureSkipVerify: true}).Handshake()
	a := &torturers{t: t, h: h, kinds: torturesOf(hello.String())}
	t.Cleanup(a.hangUp)
	return a
}

type writeOnly struct {
	net.Conn
	w io.Writer
}

func (c writeOnly) Read([]byte) (int, error)    { return 0, io.EOF }
func (c writeOnly) Write(p []byte) (int, error) { return c.w.Write(p) }
func (c writeOnly) Close() error                { return nil }

// attack has every client begin again, whatever became of its connection.
func (a *torturers) attack() {
	a.t.Helper()
	a.hangUp()
	a.conns = make([]net.Conn, len(a.kinds)*tortures)
	dialer := net.Dialer{Control: smallWindow}
	err := a.h.machine.Inside(func() error {
		for i := range a.conns {
			k := a.kinds[i%len(a.kinds)]
			network := k.network
			if network == "" {
				network = "tcp"
			}
			var err error
			for a.conns[i] == nil {
				a.conns[i], err = dialer.Dial(network, k.address)
				if err != nil && !errors.Is(err, syscall.EAGAIN) { // a Unix socket does not wait for room in its backlog
					return fmt.Errorf("%s: %w", k.name, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		a.t.Fatal(err)
	}
	errs := make([]error, len(a.conns))
	var group sync.WaitGroup
	const workers = 16
	for w := range workers {
		group.Go(func() {
			for i := w; i < len(a.conns); i += workers {
				a.conns[i], errs[i] = a.kinds[i%len(a.kinds)].begin(a.conns[i])
			}
		})
	}
	group.Wait()
	for i, err := range errs {
		if err != nil {
			a.t.Fatalf("%s: %v", a.kinds[i%len(a.kinds)].name, err)
		}
	}
	a.h.wait("the requests to arrive", func() bool { return a.h.status().Requests >= 6*tortures })
}

// smallWindow has the service wait for a client that does not read at once, and
// not when it has written megabytes to each.
func smallWindow(_, _ string, c syscall.RawConn) error {
	const least = 1 // the kernel takes the least that it allows instead: socket(7)
	var err error
	controlErr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, least) })
	return errors.Join(controlErr, err)
}

func (a *torturers) hangUp() {
	for _, nc := range a.conns {
		if nc != nil {
			_ = nc.Close()
		}
	}
}

// TestTorture reloads, restarts and stops a service while hundreds of clients
// leave it waiting, at every point where one can. Nobody else loses a request,
// and the stop is a good one, within its time.
func TestTorture(t *testing.T) {
	t.Parallel()
	const reloads, restarts = 20, 10
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			h := newManaged(t, v, often, tortured)
			h.install(program("tortured"))
			h.start()
			a := newTorturers(t, h)
			target := h.target()
			target.Limit = patience.Of(time.Minute)
			load := loadtest.Start(target, crowd())
			for i := range sdtest.Rounds(v, reloads) {
				if i%5 == 0 {
					a.attack()
				}
				mustReload(t, h)
			}
			for range sdtest.Rounds(v, restarts) {
				a.attack()
				mustRestart(t, h)
			}
			report := load.Stop()
			loadtest.Verify(t, report)
			// A request that takes its client longer than half the time there
			// is to stop is told to close.
			checkKept(t, report, loadtest.KeepAlive, loadtest.Idle, loadtest.Pipelined)
			a.attack()
			busy := connect(t, h.target(), 1)
			busy.write("GET /?d=2s HTTP/1.1\r\nHost: hello\r\n\r\n")
			h.taken(busy)
			h.stop()
			checkAnswered(t, busy.conns[0])
			checkNothingLeft(t, h)
			if log := h.machine.Journal("-u", "hello.service"); strings.Contains(log, "drain timed out") || strings.Contains(log, "Killing") {
				t.Error("a process failed or was killed")
			}
		})
	}
}

// tortured has a second socket, and little time to stop: the least that leaves
// all the margin that there is, for a machine which became slow after this was
// written.
func tortured(s *units.Service) {
	s.Sockets = append(s.Sockets, units.Socket{Name: "https", Addresses: []string{tortureHTTPS}})
	s.StopTimeout = 20 * time.Second
}

// checkAnswered reads a response that says that it is the last one.
func checkAnswered(t *testing.T, nc net.Conn) {
	t.Helper()
	var response bytes.Buffer
	_, err := io.Copy(&response, nc)
	if text := response.String(); err != nil || !strings.HasPrefix(text, "HTTP/1.1 "+fmt.Sprint(http.StatusOK)) || !strings.Contains(text, "hello from generation") {
		t.Errorf("the request that was under way in the stop was answered with %q, %v", text, err)
	}
}
