package tlsmove_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// limit is for what takes no time, on a machine that has none.
const limit = 30 * time.Second

// An authority signs certificates for both sides.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(testing.TB) *authority {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	a := &authority{must(x509.ParseCertificate(der)), key, x509.NewCertPool()}
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) issue(name string) tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// serverConfig is for a server of HTTP/1.1.
func (a *authority) serverConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.issue("localhost")}, NextProtos: []string{"http/1.1"}}
}

func (a *authority) clientConfig() *tls.Config {
	return &tls.Config{RootCAs: a.pool, ServerName: "localhost", NextProtos: []string{"http/1.1"}}
}

// A site is an http.Server whose connections move, to another http.Server, when
// they come to rest: after each request if moving is set.
type site struct {
	t        testing.TB
	listener net.Listener
	config   *tls.Config // what adopters have
	moving   atomic.Bool
	moved    atomic.Int64
	accepted atomic.Int64
	handed   chan net.Conn
	left     chan struct{} // a connection has moved
	done     chan struct{}
	server   *http.Server
	work     sync.WaitGroup

	mu      sync.Mutex
	reasons map[tlsmove.Reason]int
}

// newSite serves handler until the test is over.
func newSite(t testing.TB, config *tls.Config, handler http.Handler) *site {
	t.Helper()
	s := &site{
		t: t, listener: must(net.Listen("tcp", "127.0.0.1:0")), config: config,
		handed: make(chan net.Conn, 64), left: make(chan struct{}, 1024), done: make(chan struct{}), reasons: make(map[tlsmove.Reason]int),
	}
	s.server = &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	s.server.ConnState = func(nc net.Conn, state http.ConnState) {
		if c, ok := nc.(*restingConn); ok {
			c.idle.Store(state == http.StateIdle || state == http.StateNew && !c.once)
		}
	}
	prepared := tlsmove.Config(config)
	s.work.Add(2)
	go func() {
		defer s.work.Done()
		_ = s.server.Serve(s)
	}()
	go func() {
		defer s.work.Done()
		for {
			raw, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			s.work.Add(1)
			go s.welcome(raw, prepared)
		}
	}()
	t.Cleanup(func() {
		_ = s.listener.Close()
		_ = s.server.Close()
		s.work.Wait()
	})
	return s
}

func (s *site) welcome(raw net.Conn, config *tls.Config) {
	defer s.work.Done()
	ctx, cancel := patience.Context(context.Background(), limit)
	defer cancel()
	c := tlsmove.Server(raw, config)
	if err := c.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return
	}
	s.hand(&restingConn{Conn: c, site: s})
}

func (s *site) hand(nc net.Conn) {
	select {
	case s.handed <- nc:
	case <-s.done:
		_ = nc.Close()
	}
}

// Accept, with Addr and Close, makes s the listener of its http.Server.
func (s *site) Accept() (net.Conn, error) {
	select {
	case nc := <-s.handed:
		return nc, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}
func (s *site) Addr() net.Addr { return s.listener.Addr() }
func (s *site) Close() error {
	select {
	case <-s.done:
	default:
		close(s.done)
	}
	return nil
}

// A restingConn stands for conntrack's: it knows that net/http waits for a
// request when it reads into an empty buffer of its own size, while idle. What
// that knows besides is not needed of clients that send whole requests. One that
// was adopted moves only once it was served, or it would move for ever.
type restingConn struct {
	*tlsmove.Conn
	site *site
	once bool
	idle atomic.Bool
}

func (c *restingConn) Read(p []byte) (int, error) {
	if len(p) != 4096 || !c.idle.Load() || !c.site.moving.Load() {
		return c.Conn.Read(p)
	}
	_ = c.SetReadDeadline(time.Unix(1, 0))
	n, err := c.Conn.Read(p)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		if c.leave() {
			return 0, err
		}
		_ = c.SetReadDeadline(time.Time{})
		return c.Conn.Read(p)
	}
	_ = c.SetReadDeadline(time.Time{})
	return n, err
}

func (c *restingConn) leave() bool {
	state, err := c.Export()
	if err != nil {
		c.site.mu.Lock()
		c.site.reasons[tlsmove.ReasonOf(err)]++
		c.site.mu.Unlock()
		return false
	}
	raw := c.NetConn()
	_ = raw.SetDeadline(time.Time{})
	next, err := tlsmove.Adopt(context.Background(), raw, state, c.site.config)
	if err != nil {
		_ = raw.Close()
		return true
	}
	c.site.moved.Add(1)
	select {
	case c.site.left <- struct{}{}:
	default: // nobody counts
	}
	c.site.work.Add(1)
	go func() { // the Accept loop may be busy
		defer c.site.work.Done()
		c.site.hand(&restingConn{Conn: next, site: c.site, once: true})
	}()
	return true
}

// awaitMove waits for the connection of a client that has its response to move.
func (s *site) awaitMove(t testing.TB) {
	t.Helper()
	select {
	case <-s.left:
	case <-time.After(patience.Of(limit)):
		s.mu.Lock()
		defer s.mu.Unlock()
		t.Fatalf("nothing moves; refused: %v", s.reasons)
	}
}

// echo answers with the body, and what is known of the session.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Session", describe(r.TLS))
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = w.Write(body)
})

// describe is what r.TLS says, and what it says before a move and after.
func describe(cs *tls.ConnectionState) string {
	if cs == nil {
		return "none"
	}
	peers := ""
	for _, cert := range cs.PeerCertificates {
		peers += cert.Subject.CommonName + ","
	}
	return fmt.Sprintf("%x %s name=%q protocol=%q resumed=%v complete=%v curve=%v peers=%q chains=%d",
		cs.Version, tls.CipherSuiteName(cs.CipherSuite), cs.ServerName, cs.NegotiatedProtocol,
		cs.DidResume, cs.HandshakeComplete, cs.CurveID, peers, len(cs.VerifiedChains))
}

// A client is one connection, on which it asks by hand: it never retries.
type client struct {
	*tls.Conn
	buffered *bufio.Reader
}

func dial(t testing.TB, s *site, config *tls.Config) *client {
	t.Helper()
	c, err := tls.Dial("tcp", s.Addr().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(patience.Deadline(limit))
	return &client{c, bufio.NewReader(c)}
}

// ask posts body, and returns what the response says of the session.
func (c *client) ask(t testing.TB, body string) string {
	t.Helper()
	if _, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(c.buffered, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.Close {
		t.Error("the client was told to close")
	}
	if got, err := io.ReadAll(response.Body); err != nil || string(got) != body {
		t.Fatalf("sent %d bytes, got %d back: %v", len(body), len(got), err)
	}
	return response.Header.Get("X-Session")
}
