package lifecycle_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestRest checks the one judgement that everything rests on, against the net/http of this Go release: that a connection is
// taken to be at rest when the server waits for a request of which it has no byte, and never otherwise.
func TestRest(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: test\r\n\r\n"
	const post = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n"
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
		{"the preface of HTTP/2", []string{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"}, 0, false},
		{"a request behind a long answer's request", []string{strings.Replace(get, "/", "/long", 1), "G"}, 1, false},
	}
	for _, network := range []string{"tcp", "unix", "h2c"} { // that one takes both, over TCP
		for _, test := range tests {
			t.Run(network+"/"+test.name, func(t *testing.T) {
				tracked, client := serveOne(t, network)
				reader := bufio.NewReader(client)
				for _, segment := range test.segments {
					if _, err := io.WriteString(client, segment); err != nil {
						t.Fatal(err)
					}
					time.Sleep(2 * time.Millisecond) // so that it is a segment of its own
				}
				for range test.answers {
					response, err := http.ReadResponse(reader, nil)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, response.Body)
				}
				if got := settles(tracked); got != test.rests {
					t.Errorf("at rest: %v, want %v (states %v)", got, test.rests, tracked.States())
				}
			})
		}
	}
}

// settles reports whether the only connection is at rest once its server has done all it can.
func settles(tracked *lifecycle.Tracked) bool {
	for range 50 {
		if resting, all := tracked.Resting(); resting == 1 && all == 1 {
			return true
		}
		runtime.Gosched()
		time.Sleep(time.Millisecond)
	}
	return false
}

// serveOne serves HTTP and returns one connection to it.
func serveOne(t *testing.T, network string) (*lifecycle.Tracked, net.Conn) {
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
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			_, _ = io.WriteString(w, "ok")
		}
	})}
	tracked := lifecycle.Track(listener, server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tracked.Serve()
	}()
	client, err := net.Dial(network, listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		_ = listener.Close()
		<-done
	})
	return tracked, client
}
