package lifecycle_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A slowToGreet speaks first, after a while, and closes a connection that it
// has not greeted when it is told to end: gRPC does so, which is fast, but not
// always fast enough. What it has greeted it sends away.
type slowToGreet struct {
	conns sync.WaitGroup
	quit  chan struct{}
}

const greetingDelay = 100 * time.Millisecond

func (s *slowToGreet) Serve(l net.Listener) error {
	for {
		nc, err := l.Accept()
		if err != nil {
			return err
		}
		s.conns.Go(func() {
			defer nc.Close()
			select {
			case <-time.After(greetingDelay):
				fmt.Fprintln(nc, "welcome")
				<-s.quit
				fmt.Fprintln(nc, "goodbye")
			case <-s.quit:
			}
		})
	}
}

func (s *slowToGreet) GracefulStop() {
	close(s.quit)
	s.conns.Wait()
}

// TestGreeting reloads while a connection is accepted and not greeted yet.
func TestGreeting(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=jobs", "HEIRLOOM_TEST_SERVER=slow to greet")
	nc, err := net.Dial("unix", d.dir+"/lines")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	d.eventually("the connection to be accepted", func() bool { return d.status().Connections.Others == 1 })
	d.reload()
	_ = nc.SetReadDeadline(patience.Deadline(30 * time.Second))
	if said, err := io.ReadAll(bufio.NewReader(nc)); string(said) != "welcome\ngoodbye\n" || err != nil {
		t.Errorf("the server said %q, %v", said, err)
	}
	d.awaitAlone()
}
