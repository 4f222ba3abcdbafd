package callback_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestCloseLingering closes a connection whose client does not read, and whose
// close(2) the program has wait for that client: until then, or until a signal
// comes (sk_stream_wait_close in the kernel's net/core/stream.c).
func TestCloseLingering(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil { // much less than the server's buffer has
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.(*net.TCPConn).SetLinger(3600); err != nil {
		t.Fatal(err)
	}
	for text := strings.Repeat("x", 64<<10); fdutil.TryWrite(server, text) > 0; {
	}
	// Nothing starts a process from here on: one that holds copies of both
	// sockets, until it execs, would close them last, and be the one that waits.
	limit := patience.Of(10 * time.Second)
	returned, closed := make(chan struct{}), make(chan struct{})
	go func() {
		callback.Close(silent, server, func() { close(closed) })
		close(returned)
	}()
	select {
	case <-returned:
	case <-time.After(limit):
		t.Error("it waits for the client")
	}
	_ = client.Close()
	<-returned
	<-closed
}
