package conntrack_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/ledger"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A keeping is a server whose connections are kept in a ledger.
type keeping struct {
	t       *testing.T
	address string
	ledger  *ledger.Ledger
	release chan struct{} // lets /slow go on
}

func keep(t *testing.T) *keeping {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &keeping{t: t, address: listener.Addr().String(), release: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { <-k.release })
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, _ *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(nc, "goodbye")
		_ = nc.Close()
	})
	var tracked *conntrack.Tracked
	mux.HandleFunc("/handto", func(w http.ResponseWriter, _ *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		other := new(owned)
		tracked.HandTo(nc, other.Base())
		tracked.Registry().Add(other)
		_, _ = io.WriteString(other.Raw, "goodbye")
		_ = conntrack.Close(other)
	})
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	tracked = conntrack.Track(listener, &http.Server{Handler: mux})
	if k.ledger, err = ledger.New(); err != nil {
		t.Fatal(err)
	}
	tracked.Registry().KeepIn(k.ledger, func(err error) { t.Error(err) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tracked.Serve()
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
		tracked.Registry().StopKeeping()
		k.ledger.End()
	})
	return k
}

func (k *keeping) dial() net.Conn {
	k.t.Helper()
	nc, err := net.Dial("tcp", k.address)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(patience.Deadline(time.Minute))
	return nc
}

func (k *keeping) awaits(n int) {
	k.t.Helper()
	if !patience.Until(time.Minute, func() bool { return k.ledger.Stats().Kept == n }) {
		k.t.Fatalf("%d connections are kept, want %d", k.ledger.Stats().Kept, n)
	}
}

func (k *keeping) ask(nc net.Conn, path, header string) {
	k.t.Helper()
	k.send(nc, path, header)
	response, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		k.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
}

func (k *keeping) send(nc net.Conn, path, header string) {
	k.t.Helper()
	if _, err := io.WriteString(nc, "GET "+path+" HTTP/1.1\r\nHost: test\r\n"+header+"\r\n"); err != nil {
		k.t.Fatal(err)
	}
}

// ended expects text, and then the end of the connection.
func (k *keeping) ended(nc net.Conn, text string) {
	k.t.Helper()
	if got, err := io.ReadAll(nc); err != nil || string(got) != text {
		k.t.Errorf("read %q, %v, want %q", got, err, text)
	}
}

// TestKeep keeps what is at rest for a while, asked or not, until it ends.
func TestKeep(t *testing.T) {
	k := keep(t)
	silent, asked := k.dial(), k.dial()
	k.ask(asked, "/", "")
	k.awaits(2)
	k.ask(silent, "/", "")
	k.ask(asked, "/", "Connection: close\r\n")
	k.ended(asked, "")
	k.awaits(1)
	_ = silent.Close()
	k.awaits(0)
}

// TestKeepReused does not keep a connection during its first request, but
// afterwards.
func TestKeepReused(t *testing.T) {
	k := keep(t)
	slow := k.dial()
	k.send(slow, "/slow", "")
	for range 3 { // each takes a tick or two
		nc := k.dial()
		k.awaits(1)
		_ = nc.Close()
		k.awaits(0)
	}
	close(k.release)
	k.awaits(1)
}

// TestKeepHijacked has a client see the end of a connection that was kept before
// it was hijacked.
func TestKeepHijacked(t *testing.T) {
	for _, path := range []string{"/hijack", "/handto"} {
		k := keep(t)
		nc := k.dial()
		k.awaits(1)
		k.send(nc, path, "")
		k.ended(nc, "goodbye")
		k.awaits(0)
	}
}

// An owned is a connection that was hijacked and has another owner.
type owned struct{ conntrack.Info }

func (o *owned) Release() {}
func (o *owned) Restore() {}
