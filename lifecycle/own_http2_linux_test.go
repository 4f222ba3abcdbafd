package lifecycle_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// ownHTTP2 is a TLSNextProto of the program's own: an HTTP/2 of which heirloom
// is not told. It is net/http's, of another server for each connection, which is
// not to see that there is TLS.
func ownHTTP2() map[string]func(*http.Server, *tls.Conn, http.Handler) {
	return map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": func(owner *http.Server, nc *tls.Conn, h http.Handler) {
		l := &oneConnListener{conn: nc, gone: make(chan struct{})}
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		other := &http.Server{Handler: h, Protocols: protocols, ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateActive, http.StateIdle:
				owner.ConnState(nc, state)
			case http.StateClosed:
				close(l.gone)
			}
		}}
		_ = other.Serve(l)
	}}
}

// A oneConnListener accepts a connection, and is closed when that is gone.
type oneConnListener struct {
	conn net.Conn
	once sync.Once
	gone chan struct{}
}

func (l *oneConnListener) Accept() (nc net.Conn, err error) {
	l.once.Do(func() { nc = bare{l.conn} })
	if nc == nil {
		<-l.gone
		return nil, net.ErrClosed
	}
	return nc, nil
}

func (l *oneConnListener) Close() error   { return nil }
func (l *oneConnListener) Addr() net.Addr { return l.conn.LocalAddr() }
