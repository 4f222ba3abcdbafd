package conntrack_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
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
	tracked *conntrack.Tracked
	ledger  *ledger.Ledger
	release chan struct{} // lets /slow go on
}

func keep(t *testing.T) *keeping {
	t.Helper()
	return keepWith(t, func(mux *http.ServeMux, k *keeping) {
		mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { <-k.release })
		mux.HandleFunc("/hijack", func(w http.ResponseWriter, _ *http.Request) {
			nc, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = io.WriteString(nc, "goodbye")
			_ = nc.Close()
		})
		mux.HandleFunc("/handto", func(w http.ResponseWriter, _ *http.Request) {
			nc, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			other := new(owned)
			k.tracked.HandTo(nc, other.Base())
			k.tracked.Registry().Add(other)
			_, _ = io.WriteString(other.Raw, "goodbye")
			_ = conntrack.Close(other)
		})
		mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	})
}

// keepWith is keep with other handlers.
func keepWith(t *testing.T, handle func(mux *http.ServeMux, k *keeping)) *keeping {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &keeping{t: t, address: listener.Addr().String(), release: make(chan struct{})}
	mux := http.NewServeMux()
	handle(mux, k)
	tracked := conntrack.Track(listener, &http.Server{Handler: mux})
	k.tracked = tracked
	if k.ledger, err = ledger.New(); err != nil {
		t.Fatal(err)
	}
	tracked.Registry().KeepIn(k.ledger, func(err error) { t.Error(err) })
	done := make(chan struct{}, 2)
	for _, serve := range []func(){func() { _ = tracked.Serve() }, tracked.ServeArrived} {
		go func() {
			defer func() { done <- struct{}{} }()
			serve()
		}()
	}
	t.Cleanup(func() {
		_ = listener.Close()
		tracked.Close()
		<-done
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

// begins waits until a request has begun.
func (k *keeping) begins() {
	k.t.Helper()
	if !patience.Until(time.Minute, func() bool { return slices.Contains(k.tracked.States(), http.StateActive) }) {
		k.t.Fatal("the request does not begin")
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
// afterwards. The ledger comes when the request has begun: until then the
// connection is at rest, and is kept if that takes a while.
func TestKeepReused(t *testing.T) {
	k := keep(t)
	k.tracked.Registry().StopKeeping()
	slow := k.dial()
	k.send(slow, "/slow", "")
	k.begins()
	k.tracked.Registry().KeepIn(k.ledger, func(err error) { t.Error(err) })
	for range 3 { // each takes a tick or two
		nc := k.dial()
		k.awaits(1)
		_ = nc.Close()
		k.awaits(0)
	}
	close(k.release)
	k.awaits(1)
}

// keepByHand is keep with ticks that come when they are asked for.
func keepByHand(t *testing.T) *keeping {
	t.Helper()
	k := keep(t)
	k.tracked.Registry().KeepByHand()
	return k
}

// ticks has connections entered, and expects so many to be kept.
func (k *keeping) ticks(kept int) {
	k.t.Helper()
	k.tracked.Registry().Enter()
	if got := k.ledger.Stats().Kept; got != kept {
		k.t.Errorf("%d connections are kept after a tick, want %d", got, kept)
	}
}

// due waits until so many connections are to be entered by the tick after the
// next one, and by the next one or before it.
func (k *keeping) due(young, old int) {
	k.t.Helper()
	if !patience.Until(time.Minute, func() bool {
		y, o := k.tracked.Registry().ToEnter()
		return y == young && o == old
	}) {
		y, o := k.tracked.Registry().ToEnter()
		k.t.Fatalf("%d connections are young and %d old, want %d and %d", y, o, young, old)
	}
}

// rest waits until so many connections wait for a request.
func (k *keeping) rest(n int) {
	k.t.Helper()
	if !patience.Until(time.Minute, func() bool { resting, _ := k.tracked.Resting(); return resting == n }) {
		resting, all := k.tracked.Resting()
		k.t.Fatalf("%d of %d connections are at rest, want %d", resting, all, n)
	}
}

// TestKeepYoung enters a connection when it has lived through a tick. One that
// was in its first request then has its turn as soon as that is done.
func TestKeepYoung(t *testing.T) {
	k := keepByHand(t)
	slow := k.dial()
	k.send(slow, "/slow", "")
	k.due(1, 0)
	k.begins()
	k.ticks(0)
	k.ticks(0)
	k.due(0, 0)
	k.dial()
	k.due(1, 0)
	close(k.release)
	k.due(1, 1)
	k.ticks(1)
	k.due(0, 1)
	k.rest(2)
	k.ticks(2)
}

// TestKeepArrived enters a connection that has lived in another process before
// the next tick, whether or not its server has got to it. Those that are young
// are no older for that.
func TestKeepArrived(t *testing.T) {
	k := keepByHand(t)
	elsewhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	client, err := net.Dial("tcp", elsewhere.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	arriving, err := elsewhere.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, "x"); err != nil { // its request there
		t.Fatal(err)
	}
	if _, err := io.ReadFull(arriving, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	k.dial()
	k.due(1, 0)
	k.tracked.Receive(arriving)
	k.tracked.Registry().EnterSoon()
	k.due(2, 0) // it is among the young too, where nobody looks for it
	k.ticks(1)
	k.due(0, 2)
	k.rest(2)
	k.ticks(2)
	k.ask(client, "/", "Connection: close\r\n")
	k.awaits(1)
}

// TestKeepInLater enters connections by the first tick that were there before
// the ledger was.
func TestKeepInLater(t *testing.T) {
	k := keepByHand(t)
	r := k.tracked.Registry()
	r.StopKeeping()
	k.dial()
	k.rest(1)
	k.due(0, 0)
	r.KeepIn(k.ledger, func(err error) { t.Error(err) })
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

func (o *owned) Release()     {}
func (o *owned) Restore(bool) {}
