package conntrack_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestRest checks the one judgement that everything rests on, against the
// net/http of this Go release: that a connection is taken to be at rest when
// the server waits for a request of which it has no byte, and never otherwise.
func TestRest(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: test\r\n\r\n"
	const post = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n"
	const resting = "" // as a segment: the connection has come to rest
	long := "GET /" + strings.Repeat("x", 4096) + " HTTP/1.1\r\nHost: test\r\n"
	tests := []struct {
		name     string
		segments []string
		answers  int
		rests    bool
	}{
		{"nothing sent", nil, 0, true},
		{"one byte", []string{"G"}, 0, false},
		{"three bytes", []string{"GET"}, 0, false},
		{"four bytes", []string{"GET "}, 0, false},
		{"a request line", []string{"GET / HTTP/1.1\r\n"}, 0, false},
		{"all but the last byte", []string{get[:len(get)-1]}, 0, false},
		{"one request", []string{get}, 1, true},
		{"one request in two segments", []string{get[:20], get[20:]}, 1, true},
		{"two requests", []string{get, get}, 2, true},
		{"two requests in one segment", []string{get + get}, 2, true},
		{"one and a byte", []string{get + "G"}, 1, false},
		{"one and three bytes", []string{get + "GET"}, 1, false},
		{"one and four bytes", []string{get + "GET "}, 1, false},
		{"one and a request line", []string{get + "GET / HTTP/1.1\r\n"}, 1, false},
		{"one and a request line and a header line", []string{get + "GET / HTTP/1.1\r\nHost: test\r\n"}, 1, false},
		{"one, then a byte", []string{get, "G"}, 1, false},
		{"one, then a request line", []string{get, "GET / HTTP/1.1\r\n"}, 1, false},
		{"one, then a request line in two segments", []string{get, "GE", "T / HTTP/1.1\r\n"}, 1, false},
		{"a header longer than the buffer, all but the end", []string{long}, 0, false},
		{"a header longer than the buffer", []string{long + "\r\n"}, 1, true},
		{"one, then a header that fills the buffer", []string{get, long[:4096]}, 1, false},
		{"a body", []string{post + "12345"}, 1, true},
		{"half a body", []string{post + "12"}, 0, false},
		{"no body yet", []string{post}, 0, false},
		{"a body, and one more request with half a body", []string{post + "12345" + post + "12"}, 1, false},
		{"a body and a byte", []string{post + "12345" + "G"}, 1, false},
		{"a blank line", []string{"\r\n"}, 0, true},
		{"blank lines in pieces", []string{"\r", "\n", "\n\r", "\r\n\r\n\r\n"}, 0, true},
		{"a blank line and a byte", []string{"\r\nG"}, 0, false},
		{"a blank line, then a byte", []string{"\r\n", "G"}, 0, false},
		{"a blank line, then a request", []string{"\r\n", get}, 1, true},
		{"one, then a blank line", []string{get, "\r\n"}, 1, true},
		// A blank line that comes sooner may be read by net/http, which refuses it.
		{"one, then a blank line, then another", []string{get, resting, "\r\n", get}, 2, true},
		{"a body, then a blank line", []string{post + "12345", "\r\n"}, 1, true},
		{"a body, then half a blank line", []string{post + "12345", "\r"}, 1, true},
		{"a body, then blank lines", []string{post + "12345", "\r\n\r\n\r\n", "\r\n"}, 1, true},
		{"a body, then a blank line and a byte", []string{post + "12345", "\r\nG"}, 1, false},
		{"a body, then a blank line and more", []string{post + "12345", "\r\n", "GET /", " HTTP/1.1\r\n"}, 1, false},
		{"a body and half a blank line", []string{post + "12345\r"}, 1, true},
		{"a body and a blank line", []string{post + "12345\r\n"}, 1, true},
		{"a body and a blank line in pieces", []string{post + "12345\r", "\n"}, 1, true},
		{"a body and a blank line, then a byte", []string{post + "12345\r\n", "G"}, 1, false},
		{"a body and a blank line, then another", []string{post + "12345\r\n", post + "12345"}, 2, true},
		{"a body and a blank line and a byte", []string{post + "12345\r\nG"}, 1, false},
		{"a body that is blank and a byte", []string{post + "\r\n\r\n\n" + "G"}, 1, false},
		{"a body that is blank", []string{post + "\r\n\r\n\n"}, 1, true},
		{"a body that is blank, but for a byte", []string{post + "\r\n\r\n"}, 0, false},
		{"a blank line behind a long answer's request", []string{strings.Replace(post, "/", "/long", 1) + "12345", "\r\n"}, 1, true},
		{"one, then a line and its end", []string{get, "GET / HTTP/1.1\r", "\n"}, 1, false},
		{"one, then lines and their ends", []string{get, "GET / HTTP/1.1\r\nHost: test\r", "\n", "\r"}, 1, false},
		{"one and a line that ends", []string{get + "GET / HTTP/1.1\r\n\r"}, 1, false},
		{"the preface of HTTP/2", []string{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"}, 0, false},
		{"a request behind a long answer's request", []string{strings.Replace(get, "/", "/long", 1), "G"}, 1, false},
	}
	for _, network := range []string{"tcp", "unix", "h2c"} { // that one takes both, over TCP
		for _, test := range tests {
			t.Run(network+"/"+test.name, func(t *testing.T) {
				tracked, client, server := serveOne(t, network)
				reader := bufio.NewReader(client)
				sent := 0
				for _, segment := range test.segments {
					if segment == resting && !restsAgain(tracked) {
						t.Fatal("not at rest")
					}
					if _, err := io.WriteString(client, segment); err != nil {
						t.Fatal(err)
					}
					sent += len(segment)
					waitUntilRead(t, server, sent)
				}
				for range test.answers {
					response, err := http.ReadResponse(reader, nil)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, response.Body)
				}
				if got := settles(tracked, test.rests); got != test.rests {
					t.Errorf("at rest: %v, want %v (states %v)", got, test.rests, tracked.States())
				}
				if _, tcp := server.(*net.TCPConn); tcp && !notes(tracked, sent, test.rests) {
					t.Errorf("noted for a crash: %v, want %v", !test.rests, test.rests)
				}
			})
		}
	}
}

// settles reports whether the only connection is at rest once its server has
// done all it can. Nobody tells when that is: what is not to rest is looked at
// for a while, and again if it still was at rest from before the last byte,
// which the server has read and not yet thought about.
func settles(tracked *conntrack.Tracked, rests bool) bool {
	const limit = 30 * time.Second
	atRest := func() bool {
		resting, all := tracked.Resting()
		return resting == 1 && all == 1
	}
	if rests {
		return patience.Until(limit, atRest)
	}
	isSeen := func() bool { // no limit of package patience, which measures the machine when it is over
		for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if atRest() {
				return true
			}
		}
		return atRest()
	}
	return !patience.Until(limit, func() bool { return !isSeen() })
}

// restsAgain reports whether the only connection comes to rest after a request
// that its server has read. Until then it may still be at rest from before.
func restsAgain(tracked *conntrack.Tracked) bool {
	return patience.Until(30*time.Second, func() bool {
		return slices.Equal(tracked.States(), []http.ConnState{http.StateIdle}) && settles(tracked, true)
	})
}

// notes reports whether it is noted that the connection is at rest since so
// many bytes were sent, as it is to be.
func notes(tracked *conntrack.Tracked, sent int, rests bool) bool {
	if !rests {
		return sent == 0 || !tracked.RestsAt(sent)
	}
	return patience.Until(30*time.Second, func() bool { return tracked.RestsAt(sent) })
}

// An observedListener tells what it has accepted.
type observedListener struct {
	net.Listener
	accepted chan net.Conn
}

func (l observedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err == nil {
		l.accepted <- nc
	}
	return nc, err
}

// serveOne serves HTTP and returns both ends of one connection to it.
func serveOne(t *testing.T, network string) (tracked *conntrack.Tracked, client, accepted net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	var protocols *http.Protocols
	switch network {
	case "unix":
		address = t.TempDir() + "/s"
	case "h2c":
		network, protocols = "tcp", new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetUnencryptedHTTP2(true)
	}
	bound, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	listener := observedListener{bound, make(chan net.Conn, 1)}
	server := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			_, _ = io.WriteString(w, "ok")
		}
	})}
	tracked = conntrack.Track(listener, server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tracked.Serve()
	}()
	client, err = net.Dial(network, listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		_ = listener.Close()
		<-done
	})
	return tracked, client, <-listener.accepted
}
