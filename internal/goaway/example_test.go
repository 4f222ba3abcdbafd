package goaway_test

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/heirloom-go/heirloom/internal/goaway"
)

// A server that speaks HTTP/2 without TLS is drained. Its last request is
// answered before it ends.
func ExamplePrepare() {
	drainer := make(chan *goaway.Drainer, 1)
	server := &http.Server{Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(<-drainer).Drain(5 * time.Second)
		w.WriteHeader(http.StatusNoContent)
	})
	gone := make(chan struct{})
	server.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(gone)
		}
	}
	prepared, err := goaway.Prepare(server, func(net.Conn, *goaway.Streams) { fmt.Println("an HTTP/2 connection") })
	if err != nil {
		fmt.Println(err)
		return
	}
	drainer <- prepared

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	client := &http.Client{Transport: &http.Transport{Protocols: server.Protocols}}
	res, err := client.Get("http://" + listener.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = res.Body.Close()
	fmt.Println(res.Status)
	<-gone
	fmt.Println("the connection has ended")
	_ = server.Close()
	fmt.Println(<-served)
	// Output:
	// an HTTP/2 connection
	// 204 No Content
	// the connection has ended
	// http: Server closed
}
