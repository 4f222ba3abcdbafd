package conntrack_test

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestSilentJustCome looks for silent clients in a drain that is older than they
// may be silent. Those that come only then, back from a successor without room
// say, have all of the time: whether the server has got to them or not, and
// whether they have begun to send.
func TestSilentJustCome(t *testing.T) {
	const silence = time.Hour
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	registry := newRegistry(t, conntrack.Config{Silence: silence, Linger: time.Hour})
	server := conntrack.NewServer(registry, listener, "test")
	server.Movable = true
	server.HTTP = &http.Server{Handler: http.NotFoundHandler(), ConnState: server.ConnState}
	server.SetPhase(conntrack.Serving) // as for a successor that is full
	registry.Linger()
	began := time.Now().Add(-2 * silence)

	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, "GET / HT"); err != nil {
		t.Fatal(err)
	}
	look := func(when string) {
		t.Helper()
		if w := registry.Silent(began, true); !w.None() {
			t.Errorf("%s: %+v", when, w)
		}
	}
	server.Receive(accepted, conntrack.Wait{})
	look("not served yet")
	served := make(chan struct{})
	go func() {
		server.ServeArrived()
		close(served)
	}()
	if !patience.Until(10*time.Second, func() bool { return registry.IsReading() }) {
		t.Fatal("the server does not wait for the rest")
	}
	look("half a request")
	server.Close()
	<-served
	_ = accepted.Close()
	if !patience.Until(10*time.Second, func() bool { return registry.Len() == 0 }) {
		t.Error("the connection is left")
	}
}
