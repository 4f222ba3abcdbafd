package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// An h2Line is a line by which requests go as HTTP/2, one after another. What
// its client writes and reads is HTTP/1.1, a request in one piece.
//
// A client of HTTP/2 reads all the time. So it knows when its connection has
// been closed, or is to end (GOAWAY in RFC 9113, 6.8), and opens another before
// it sends the next request. This one does the same, and that breaks nothing. A
// request that was sent is never sent again, even if GOAWAY says that nobody has
// processed it: then it is cut.
type h2Line struct {
	line
	network, address string
	session          *http2.ClientConn
	limit            time.Time // of an exchange
	answer           bytes.Buffer
}

// dialHTTP2 is for loadtest.Target.
func (l *ledger) dialHTTP2(ctx context.Context, network, address string) (net.Conn, error) {
	one := &h2Line{line: line{ledger: l}, network: network, address: address}
	if err := one.connect(ctx); err != nil {
		return nil, one.note(err)
	}
	return one, nil
}

func (l *h2Line) connect(ctx context.Context) error {
	began := time.Now()
	conn, err := l.ledger.openOne(ctx, l.network, l.address)
	if err != nil {
		l.cut = true // it is counted as refused
		return err
	}
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}})
	l.Conn, l.bare, l.dialled, l.pid = secure, conn, began, 0
	var session *http2.ClientConn
	if err = secure.HandshakeContext(ctx); err == nil {
		session, err = new(http2.Transport).NewClientConn(secure)
	}
	if err != nil {
		_ = conn.Close()
		return err
	}
	l.session = session
	return nil
}

// Write sends a request, and waits for the answer to it.
func (l *h2Line) Write(p []byte) (int, error) {
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(p)))
	if err != nil {
		return 0, l.note(err)
	}
	request.RequestURI, request.URL.Scheme, request.URL.Host = "", "https", request.Host
	ctx, cancel := context.WithDeadline(context.Background(), l.limit)
	defer cancel()
	response, err := l.send(ctx, request)
	if err == nil {
		err = l.keep(response)
	}
	if err != nil {
		return 0, l.note(err)
	}
	return len(p), nil
}

// send sends a request once, on another connection if this one takes no more.
func (l *h2Line) send(ctx context.Context, request *http.Request) (*http.Response, error) {
	for {
		if l.session.ReserveNewRequest() {
			var sent atomic.Bool
			trace := &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }}
			response, err := l.session.RoundTrip(request.WithContext(httptrace.WithClientTrace(ctx, trace)))
			if err == nil || sent.Load() || ctx.Err() != nil {
				return response, err
			}
		}
		_ = l.session.Close()
		if err := l.connect(ctx); err != nil {
			return nil, err
		}
		l.ledger.renewed.Add(1)
	}
}

// keep has the answer read later.
func (l *h2Line) keep(response *http.Response) error {
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return err
	}
	l.pid = pidIn(body)
	response.ProtoMajor, response.ProtoMinor = 1, 1
	response.ContentLength, response.Body = int64(len(body)), io.NopCloser(bytes.NewReader(body))
	return response.Write(&l.answer)
}

func (l *h2Line) Read(p []byte) (int, error) { return l.answer.Read(p) }

// SetWriteDeadline limits the whole exchange.
func (l *h2Line) SetWriteDeadline(t time.Time) error {
	l.limit = t
	return nil
}

// SetReadDeadline does nothing: the session reads.
func (l *h2Line) SetReadDeadline(time.Time) error { return nil }

func (l *h2Line) Close() error { return l.session.Close() }
