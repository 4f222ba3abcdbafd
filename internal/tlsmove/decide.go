package tlsmove

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// A PanicError is the panic of a callback that was to decide about a session.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

var (
	errUndecided = errors.New("a callback has ended its goroutine")
	errNotAsked  = errors.New("crypto/tls does not call GetConfigForClient")
	errAsked     = errors.New("that is all")
)

// hasCallbacks reports whether the program has a say in what config accepts.
func hasCallbacks(config *tls.Config) bool {
	return config.GetConfigForClient != nil || config.VerifyPeerCertificate != nil || config.VerifyConnection != nil || config.Time != nil
}

// decide calls accept in a goroutine of its own, since it may hang, and panic.
// What accept makes of state is returned.
func decide(ctx context.Context, state tls.ConnectionState, accept func(*tls.ConnectionState) error) (tls.ConnectionState, error) {
	type verdict struct {
		state tls.ConnectionState
		err   error
	}
	decided := make(chan verdict, 1)
	go func() {
		v := verdict{state, errUndecided}
		defer func() {
			if r := recover(); r != nil {
				v.err = &PanicError{r, debug.Stack()}
			}
			decided <- v
		}()
		v.err = accept(&v.state)
	}()
	select {
	case v := <-decided:
		return v.state, v.err
	case <-ctx.Done():
		return state, context.Cause(ctx)
	}
}

// configFor calls get, a GetConfigForClient, with a hello of what is known of
// the client's. A hello has a Context, which only crypto/tls can set. So it is
// told one by a handshake, of some other hello, that ends there.
func (s *session) configFor(ctx context.Context, nc net.Conn, get func(*tls.ClientHelloInfo) (*tls.Config, error)) (config *tls.Config, err error) {
	err = errNotAsked
	_ = tls.Server(&helloConn{nc, bytes.NewReader(someHello())}, &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			s.tell(hello)
			hello.Conn = nc
			config, err = get(hello)
			return nil, errAsked
		},
	}).HandshakeContext(ctx)
	return config, err
}

// tell makes hello that of the session.
func (s *session) tell(hello *tls.ClientHelloInfo) {
	hello.CipherSuites = []uint16{s.suite}
	hello.ServerName = s.name
	hello.SupportedCurves = []tls.CurveID{tls.CurveID(s.curve)}
	hello.SupportedVersions = []uint16{tls.VersionTLS13}
	hello.SupportedProtos, hello.Extensions = nil, nil
	if s.protocol != "" {
		hello.SupportedProtos = []string{s.protocol}
	}
}

// someHello is what a client of crypto/tls sends first.
var someHello = sync.OnceValue(func() []byte {
	near, far := newMemoryConn()
	said := make(chan struct{})
	go func() {
		defer close(said)
		_ = tls.Client(far, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}).Handshake() // with nobody
	}()
	hello := make([]byte, maxPlaintext)
	n, _ := near.Read(hello)
	_ = near.Close()
	<-said
	return hello[:n]
})

// A helloConn is a connection on which a hello has come. What is written to it
// is lost.
type helloConn struct {
	net.Conn
	hello *bytes.Reader
}

func (c *helloConn) Read(p []byte) (int, error)       { return c.hello.Read(p) }
func (c *helloConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *helloConn) Close() error                     { return nil }
func (c *helloConn) SetDeadline(time.Time) error      { return nil }
func (c *helloConn) SetReadDeadline(time.Time) error  { return nil }
func (c *helloConn) SetWriteDeadline(time.Time) error { return nil }
