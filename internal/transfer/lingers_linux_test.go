package transfer

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A slowCloser is a connection that lingers: Close waits until it is told to
// end.
type slowCloser struct {
	*net.TCPConn
	end <-chan struct{}
}

func (c slowCloser) Close() error {
	<-c.end
	return c.TCPConn.Close()
}

// TestOwnerLingers has what the successor was sent linger: it may have closed
// that already, and then the last close(2) is here. Nothing waits for it.
func TestOwnerLingers(t *testing.T) {
	for name, end := range map[string]func(*giving){
		"accepted":  func(g *giving) { g.Accepted(1, false) },
		"abandoned": func(g *giving) { g.Abandon() },
	} {
		t.Run(name, func(t *testing.T) {
			limit := patience.Of(10 * time.Second)
			g, err := newGiving(1)
			if err != nil {
				t.Fatal(err)
			}
			let := make(chan struct{})
			g.wrap = func(nc *net.TCPConn) net.Conn {
				_ = nc.SetLinger(10)
				return slowCloser{nc, let}
			}
			if err := g.pass(1); err != nil {
				t.Fatal(err)
			}
			go g.run()
			t.Cleanup(g.close)
			fds, err := g.receive(1)
			if err != nil {
				t.Fatal(err)
			}
			_ = unix.Close(fds[0])
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				end(g)
			}()
			select {
			case <-ended:
			case <-time.After(limit):
				t.Error("it waits for the client")
			}
			checkOwners(t, g, 0, 0)
			close(let)
			<-ended
		})
	}
}
