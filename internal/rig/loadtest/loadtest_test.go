package loadtest_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// waitForEach waits until the server has answered n requests of every class.
func (s *goodServer) waitForEach(t *testing.T, n int) {
	t.Helper()
	for _, class := range loadtest.Classes() {
		s.wait(t, map[string]int{string(class): n})
	}
}

func TestEveryClassIsContentWithAGoodServer(t *testing.T) {
	networks := map[string]string{
		"tcp":  "127.0.0.1:0",
		"unix": filepath.Join(t.TempDir(), "socket"),
	}
	for network, address := range networks {
		t.Run(network, func(t *testing.T) {
			server := startGoodServer(t, network, address)
			target := brisk(server.address)
			target.Network = network
			run := loadtest.Start(target, loadtest.OfEach(2))
			server.waitForEach(t, 20)
			report := run.Stop()
			loadtest.Verify(t, report)
			checkSums(t, server, report)
		})
	}
}

// checkSums compares the report with what the server has counted, and with
// itself.
func checkSums(t *testing.T, server *goodServer, report loadtest.Report) {
	t.Helper()
	if got, want := len(report.ByClass), len(loadtest.Classes()); got != want {
		t.Fatalf("report on %d classes, want %d", got, want)
	}
	var sum loadtest.Counts
	for i, c := range report.ByClass {
		if want := loadtest.Classes()[i]; c.Class != want {
			t.Errorf("class number %d is %s, want %s", i, c.Class, want)
		}
		if want := server.get(string(c.Class)); c.Requests != want || c.Clients != 2 {
			t.Errorf("%s: %d clients made %d requests, want 2 and %d", c.Class, c.Clients, c.Requests, want)
		}
		if c.Latency.P50 <= 0 || c.Latency.P50 > c.Latency.P99 || c.Latency.P99 > c.Latency.Max {
			t.Errorf("%s: latency %+v is not in order", c.Class, c.Latency)
		}
		checkConnections(t, c)
		sum.Clients += c.Clients
		sum.Requests += c.Requests
		sum.Broken += c.Broken
		sum.Connections += c.Connections
	}
	if sum != report.Counts {
		t.Errorf("total is %+v, but the classes add up to %+v", report.Counts, sum)
	}
	if got := report.Generations[1]; got != report.Requests || len(report.Generations) != 1 {
		t.Errorf("answered by generations %v, want all %d by 1", report.Generations, report.Requests)
	}
}

func checkConnections(t *testing.T, c loadtest.ClassReport) {
	t.Helper()
	low, high := c.Clients, c.Clients
	switch c.Class {
	case loadtest.PerRequest, loadtest.ConnectThenWait:
		low, high = c.Requests, c.Requests
	case loadtest.HalfHeaderThenPause: // three requests over each
		low, high = c.Requests/3, c.Requests/3+c.Clients
	}
	if c.Connections < low || c.Connections > high {
		t.Errorf("%s: %d connections for %d requests, want %d to %d", c.Class, c.Connections, c.Requests, low, high)
	}
}

func TestAnnouncedCloseIsNotBroken(t *testing.T) {
	server := startRawServer(t, func(c *rawConn) {
		if c.next() {
			c.answer(c.body(), "Connection: close")
		}
	})
	run := loadtest.Start(brisk(server.listener.Addr().String()), map[loadtest.Class]int{loadtest.KeepAlive: 3})
	server.wait(t, map[string]int{"served": 30})
	report := run.Stop()
	loadtest.Verify(t, report)
	if report.Connections != report.Requests {
		t.Errorf("%d connections for %d requests, want as many", report.Connections, report.Requests)
	}
}

func TestRefusedDialIsBrokenForEveryClass(t *testing.T) {
	refused := errors.New("refused")
	target := brisk("nowhere")
	target.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, refused }
	report := loadtest.Start(target, loadtest.OfEach(1)).Stop()
	if report.Connections != 0 || len(report.Generations) != 0 {
		t.Errorf("report claims connections or answers:\n%v", report)
	}
	for _, c := range report.ByClass {
		if c.Broken == 0 || c.Broken != c.Requests {
			t.Errorf("%s: %d of %d requests are broken, want all and at least one", c.Class, c.Broken, c.Requests)
		}
		for _, err := range c.FirstErrors {
			if !errors.Is(err, refused) {
				t.Errorf("error does not wrap that of Dial: %v", err)
			}
		}
	}
}

func TestDialIsGivenTheLimit(t *testing.T) {
	target := brisk("nowhere")
	target.Limit = 20 * time.Millisecond
	target.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	report := loadtest.Start(target, map[loadtest.Class]int{loadtest.KeepAlive: 1}).Stop()
	if report.Broken == 0 || !errors.Is(report.ByClass[0].FirstErrors[0], context.DeadlineExceeded) {
		t.Errorf("dial that never ends is not broken by its limit:\n%v", report)
	}
}

func TestFirstAnswerBearsTheDial(t *testing.T) {
	const slow = 200 * time.Millisecond
	server := startGoodServer(t, "tcp", "127.0.0.1:0")
	target := brisk(server.address)
	target.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		time.Sleep(slow)
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	var seen []loadtest.Observation
	target.Observe = func(o loadtest.Observation) { seen = append(seen, o) }
	run := loadtest.Start(target, map[loadtest.Class]int{loadtest.KeepAlive: 1})
	server.wait(t, map[string]int{string(loadtest.KeepAlive): 20})
	if latency := run.Stop().ByClass[0].Latency; latency.Max < slow || seen[0].Took < slow {
		t.Errorf("latency with dials of %v is %+v, of the first answer %v", slow, latency, seen[0].Took)
	}
	for i, o := range seen[1:] { // each was asked for when the one before was there
		if between := o.At.Sub(seen[i].At); o.Took > between {
			t.Errorf("answer %d took %v, but came %v after the one before", i+2, o.Took, between)
		}
	}
}

func TestUnknownClassIsBroken(t *testing.T) {
	report := loadtest.Start(loadtest.Target{}, map[loadtest.Class]int{"keepalive": 3}).Stop()
	if report.Broken != 1 || !errors.Is(report.ByClass[0].FirstErrors[0], loadtest.ErrUnknownClass) {
		t.Errorf("unknown class is not broken:\n%v", report)
	}
}

func TestStopFinishesWhatWasBegunAndAsksOnceMore(t *testing.T) {
	server := startGoodServer(t, "tcp", "127.0.0.1:0")
	target := brisk(server.address)
	target.IdleFor = time.Hour
	target.SlowFor = 200 * time.Millisecond
	idle := loadtest.Start(target, map[loadtest.Class]int{loadtest.Idle: 2, loadtest.ConnectThenWait: 1, loadtest.Slow: 1})
	server.wait(t, map[string]int{string(loadtest.Idle): 2})
	report := idle.Stop()
	loadtest.Verify(t, report)
	for _, c := range report.ByClass {
		// The clients that were silent, or about to begin, ask once; those in
		// the middle of a turn, or after one, twice.
		if c.Requests < c.Clients || c.Requests > 2*c.Clients || c.Class == loadtest.Idle && c.Requests != 4 {
			t.Errorf("%d clients of class %s made %d requests", c.Clients, c.Class, c.Requests)
		}
	}
	again := idle.Stop()
	if again.Counts != report.Counts || again.Elapsed != report.Elapsed {
		t.Errorf("second Stop reports %+v after %v, the first %+v after %v",
			again.Counts, again.Elapsed, report.Counts, report.Elapsed)
	}
}

// TestIdleLossShowsAtStop closes connections while their clients would be
// silent for an hour.
func TestIdleLossShowsAtStop(t *testing.T) {
	server := startRawServer(t, func(c *rawConn) {
		c.next()
		c.answer(c.body())
		_ = c.Close()
		c.server.add("closed")
	})
	target := brisk(server.listener.Addr().String())
	target.IdleFor = time.Hour
	run := loadtest.Start(target, map[loadtest.Class]int{loadtest.Idle: 1})
	server.wait(t, map[string]int{"closed": 1})
	if report := run.Stop(); report.Requests != 2 || report.Broken != 1 {
		t.Errorf("want 2 requests, 1 broken:\n%v", report)
	}
}

// trackedConn counts how many of its kind are open.
type trackedConn struct {
	net.Conn
	open *atomic.Int64
}

func (c trackedConn) Close() error {
	c.open.Add(-1)
	return c.Conn.Close()
}

func TestStopLeavesNoConnection(t *testing.T) {
	good := startGoodServer(t, "tcp", "127.0.0.1:0")
	bad := startRawServer(t, instead(func(c *rawConn) { c.write("HTTP/1.1 200") }))
	for name, address := range map[string]string{"good": good.address, "bad": bad.listener.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			var open, dialled atomic.Int64
			target := brisk(address)
			target.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				dialled.Add(1)
				open.Add(1)
				return trackedConn{conn, &open}, nil
			}
			report := loadtest.Start(target, loadtest.OfEach(2)).Stop()
			if open.Load() != 0 || dialled.Load() != int64(report.Connections) || report.Connections == 0 {
				t.Errorf("%d connections are open after Stop, %d dialled, %d reported",
					open.Load(), dialled.Load(), report.Connections)
			}
		})
	}
}

func TestWaitGeneration(t *testing.T) {
	server := startGoodServer(t, "tcp", "127.0.0.1:0")
	run := loadtest.Start(brisk(server.address), map[loadtest.Class]int{loadtest.KeepAlive: 2})
	ctx, cancel := patience.Context(context.Background(), time.Minute)
	defer cancel()
	for _, n := range []int{-1, 1} {
		if err := run.WaitGeneration(ctx, n); err != nil {
			t.Errorf("wait for generation %d: %v", n, err)
		}
	}
	result := make(chan error, 1)
	go func() { result <- run.WaitGeneration(ctx, 2) }()
	server.wait(t, map[string]int{string(loadtest.KeepAlive): 20})
	select {
	case err := <-result:
		t.Fatalf("wait for generation 2 returned %v while only 1 answers", err)
	default:
	}
	server.generation.Store(3)
	if err := <-result; err != nil {
		t.Errorf("wait for generation 2 while 3 answers: %v", err)
	}
	ended, end := context.WithCancel(ctx)
	end()
	if err := run.WaitGeneration(ended, 4); !errors.Is(err, context.Canceled) {
		t.Errorf("wait with a cancelled context: %v, want context.Canceled", err)
	}
	go func() { result <- run.WaitGeneration(ctx, 4) }()
	report := run.Stop()
	if err := <-result; !errors.Is(err, loadtest.ErrStopped) {
		t.Errorf("wait across Stop: %v, want ErrStopped", err)
	}
	if err := run.WaitGeneration(ctx, 3); err != nil {
		t.Errorf("wait after Stop for a generation that was seen: %v", err)
	}
	if report.Generations[1]+report.Generations[3] != report.Requests || report.Generations[3] == 0 {
		t.Errorf("generations %v do not add up to %d requests", report.Generations, report.Requests)
	}
}

func TestSnapshotWhileRunning(t *testing.T) {
	server := startGoodServer(t, "tcp", "127.0.0.1:0")
	run := loadtest.Start(brisk(server.address), map[loadtest.Class]int{loadtest.KeepAlive: 2})
	server.wait(t, map[string]int{string(loadtest.KeepAlive): 10})
	early := run.Snapshot()
	// Two of the ten may have been answered without their clients knowing yet.
	if early.Requests < 8 || early.Elapsed <= 0 {
		t.Errorf("snapshot after 10 answers shows %d requests, %v elapsed", early.Requests, early.Elapsed)
	}
	requests := early.Generations[1]
	final := run.Stop()
	if final.Requests < early.Requests || final.Elapsed < early.Elapsed || early.Generations[1] != requests {
		t.Errorf("final report %+v does not follow snapshot %+v", final.Counts, early.Counts)
	}
}

func TestBrokenErrorTellsTheCircumstances(t *testing.T) {
	server := startRawServer(t, func(c *rawConn) {
		c.next()
		c.answer(c.body())
		c.next()
		c.write("HTTP/1.1 200 OK\r\nhalf")
	})
	run := loadtest.Start(brisk(server.listener.Addr().String()), map[loadtest.Class]int{loadtest.KeepAlive: 1})
	server.wait(t, map[string]int{"accepted": 2})
	report := run.Stop()
	var broken *loadtest.BrokenError
	if report.Broken == 0 || !errors.As(report.ByClass[0].FirstErrors[0], &broken) {
		t.Fatalf("no BrokenError:\n%v", report)
	}
	conn := broken.Conn
	if broken.Class != loadtest.KeepAlive || broken.LastGeneration != 1 || broken.Unanswered != 1 || broken.After <= 0 {
		t.Errorf("unexpected circumstances: %+v", broken)
	}
	if conn.Answered != 1 || conn.Age <= 0 || conn.Silent <= 0 || conn.Remote.String() != server.listener.Addr().String() {
		t.Errorf("unexpected state of the connection: %+v", conn)
	}
	if got := string(conn.Read.Begin); got != "HTTP/1.1 200 OK\r\nhalf" || conn.Sent.Total == 0 {
		t.Errorf("transcripts: sent %v, read %v", conn.Sent, conn.Read)
	}
}
