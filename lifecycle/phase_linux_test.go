package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// phases is a program with handlers that do not end by themselves.
func phases(options lifecycle.Options) error {
	options.LameDuck = duration("HEIRLOOM_TEST_LAME")
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	if service.Generation() > 1 {
		time.Sleep(duration("HEIRLOOM_TEST_READY"))
	}
	_, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	listener, err := service.Listen("http", "tcp", address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", holdingHandler(service.Generation()))
	mux.Handle("/readyz", service.Readiness())
	mux.HandleFunc("/lame", func(w http.ResponseWriter, r *http.Request) {
		<-service.LameDuck()
		handler(service.Generation()).ServeHTTP(w, r)
	})
	mux.HandleFunc("/nothing", func(_ http.ResponseWriter, r *http.Request) {
		noteBegun(r)
		untilCancelled(r, "nothing")
	})
	mux.HandleFunc("/chunks", answerInChunks)
	mux.HandleFunc("/length", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "20")
		answerInChunks(w, r)
	})
	mux.HandleFunc("/stubborn", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "what it says it will")
		noteBegun(r)
		waitStubbornly()
	})
	if err := service.HTTP(listener, &http.Server{Handler: mux}); err != nil {
		return err
	}
	err = service.Run(context.Background())
	select {
	case <-service.LameDuck():
		if options.LameDuck == 0 || service.Replaced() {
			err = errors.Join(err, errors.New("a lame duck that nobody asked for"))
		}
	default:
	}
	return err
}

// holdingHandler is handler, and /held is answered when the test says so.
func holdingHandler(generation int) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", handler(generation))
	mux.HandleFunc("/held", func(w http.ResponseWriter, r *http.Request) {
		noteBegun(r)
		for r.Context().Err() == nil {
			if _, err := os.Stat(releaseFile(os.Getenv("RUNTIME_DIRECTORY"))); err == nil {
				handler(generation).ServeHTTP(w, r)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	return mux
}

func releaseFile(dir string) string { return filepath.Join(dir, "release") }

// hold has the service at a request that it answers when release is called.
func (d *local) hold() *client {
	d.t.Helper()
	c := d.dial()
	d.underWay(c, "/held")
	return c
}

func (d *local) release() {
	d.t.Helper()
	if err := os.WriteFile(releaseFile(d.dir), nil, 0o644); err != nil {
		d.t.Fatal(err)
	}
}

func untilCancelled(r *http.Request, name string) {
	<-r.Context().Done()
	fmt.Fprintf(os.Stderr, "%s was cancelled: %v, drain timeout %t\n", name, context.Cause(r.Context()),
		errors.Is(context.Cause(r.Context()), lifecycle.ErrDrainTimeout))
}

// answerInChunks answers a part, and when it is cancelled returns as if that
// had been all.
func answerInChunks(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, "first ")
	_ = http.NewResponseController(w).Flush()
	noteBegun(r)
	untilCancelled(r, r.URL.Path)
}

func waitStubbornly() { select {} }

// cutOff reads an answer that must not be taken for a whole one.
func (c *client) cutOff() {
	c.t.Helper()
	_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if body, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		c.t.Errorf("read %q, %v, want the client to know that it was cut off", body, err)
	}
}

// TestCutOff stops a service whose handlers last longer than it may take: they
// are told why, the log names them, and no client takes what it was sent for an
// answer.
func TestCutOff(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=phases", "HEIRLOOM_TEST_DRAIN="+span(time.Second), "HEIRLOOM_TEST_LINGER=50ms")
	nothing, chunks, length, stubborn, busy := d.dial(), d.dial(), d.dial(), d.dial(), d.dial()
	busy.ask("/?d=400ms")
	d.underWay(nothing, "/nothing")
	d.underWay(chunks, "/chunks")
	d.underWay(length, "/length")
	d.underWay(stubborn, "/stubborn")
	busy.answer(1)
	d.signal(syscall.SIGTERM)
	nothing.closed()
	chunks.cutOff()
	length.cutOff()
	stubborn.closed()
	checkDrainTimeout(t, d)
	for _, want := range []string{
		"nothing was cancelled: drain timed out, drain timeout true",
		"/chunks was cancelled: drain timed out, drain timeout true",
		"/length was cancelled: drain timed out, drain timeout true",
		"lifecycle_test.waitStubbornly", "lifecycle_test.untilCancelled", // in the stacks
		`cancelling what is left: left="4 requests"`,
		`closing what is left: left=`,
	} {
		if !strings.Contains(d.logged(), want) {
			t.Errorf("the log has no %q", want)
		}
	}
}

// TestLameDuck has a service that is told to stop go on for a while, as if
// nothing were but that it says so to who asks.
func TestLameDuck(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=phases", "HEIRLOOM_TEST_LAME="+span(6*time.Second), "HEIRLOOM_TEST_LINGER=100ms")
	kept := d.dial()
	kept.ask("/")
	kept.answer(1)
	if code := d.ready(); code != http.StatusOK {
		t.Errorf("readiness says %d before the stop", code)
	}
	told := d.dial()
	told.ask("/lame")
	d.signal(syscall.SIGTERM)
	told.answer(1)
	d.eventually("the service to be a lame duck", func() bool { return d.status().State == lifecycle.LameDuck })
	if code := d.ready(); code != http.StatusServiceUnavailable {
		t.Errorf("readiness says %d to a load balancer", code)
	}
	fresh := d.dial()
	for _, c := range []*client{kept, fresh} {
		c.ask("/")
		if c.answer(1) {
			t.Error("a lame duck says that the connection closes")
		}
	}
	if out, err := d.command("reload"); err == nil || !strings.Contains(out, lifecycle.ErrStopping.Error()) {
		t.Errorf("a reload of a lame duck: %v, %s, want that it is stopping", err, out)
	}
	kept.closed()
	fresh.closed()
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
}

// ready returns what the readiness handler answers.
func (d *local) ready() int {
	d.t.Helper()
	c := d.dial()
	defer c.Close()
	c.ask("/readyz")
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return response.StatusCode
}

// TestShortLameDuck has a lame duck want more time than there is: half of it is
// for what it has begun by then.
func TestShortLameDuck(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=phases", "HEIRLOOM_TEST_LAME=1h", "HEIRLOOM_TEST_DRAIN="+span(8*time.Second))
	d.signal(syscall.SIGTERM)
	d.eventually("the service to be a lame duck", func() bool { return d.status().State == lifecycle.LameDuck })
	busy := d.hold()
	d.eventually("the service to drain", func() bool { return d.status().State == lifecycle.Draining })
	d.release()
	busy.answer(1)
	busy.closed()
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
}

// TestLameDuckNow tells a lame duck a second time.
func TestLameDuckNow(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=phases", "HEIRLOOM_TEST_LAME=1h", "HEIRLOOM_TEST_DRAIN=3h")
	idle := d.dial()
	idle.ask("/")
	idle.answer(1)
	d.signal(syscall.SIGTERM)
	d.eventually("the service to be a lame duck", func() bool { return d.status().State == lifecycle.LameDuck })
	d.signal(syscall.SIGTERM)
	idle.closed()
	_ = d.awaitExit()
}

// TestSignalledPredecessor sends SIGTERM to a predecessor, twice as systemd may
// do, and to the service once: the predecessor answers what it has begun.
func TestSignalledPredecessor(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=phases", "HEIRLOOM_TEST_LINGER=100ms")
	busy := d.hold()
	old := d.status().PID
	d.reload()
	for range 2 {
		_ = syscall.Kill(old, syscall.SIGTERM)
		time.Sleep(patience.Of(50 * time.Millisecond)) // two signals at once are one
	}
	d.signal(syscall.SIGTERM)
	_ = syscall.Kill(old, syscall.SIGTERM)
	d.eventually("the service to drain", func() bool { return d.status().State == lifecycle.Draining })
	d.release()
	busy.answer(1)
	d.eventually("both processes to end", func() bool { return len(d.processes()) == 0 })
	if strings.Contains(d.logged(), "timed out") {
		t.Error("the stop was not a clean one")
	}
}

// TestStopDuringReload stops a service whose successor is slow to be ready: it
// is called off, and what was begun is answered.
func TestStopDuringReload(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=phases", "HEIRLOOM_TEST_READY=1h", "HEIRLOOM_TEST_RELOAD=1h", "HEIRLOOM_TEST_LINGER=100ms")
	busy := d.hold()
	type result struct {
		out string
		err error
	}
	reload := make(chan result, 1)
	go func() {
		out, err := d.command("reload")
		reload <- result{out, err}
	}()
	d.eventually("the successor to start", func() bool { return len(d.processes()) == 2 })
	d.signal(syscall.SIGTERM)
	if r := <-reload; r.err == nil || !strings.Contains(r.out, lifecycle.ErrStopping.Error()) {
		t.Errorf("the reload: %v, %s, want that the service is stopping", r.err, r.out)
	}
	d.release()
	busy.answer(1)
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
	if left := d.processes(); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

// TestReloadDuringStop reloads a service that is being stopped: that fails,
// says why, and breaks nothing. Its status can be asked to the end.
func TestReloadDuringStop(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=phases", "HEIRLOOM_TEST_LINGER=100ms", "HEIRLOOM_TEST_DRAIN=1h")
	busy := d.hold()
	pid := d.status().PID
	d.signal(syscall.SIGTERM)
	d.eventually("the service to drain", func() bool { return d.status().State == lifecycle.Draining })
	time.Sleep(patience.Of(300 * time.Millisecond)) // longer than the linger
	for range 3 {
		if out, err := d.command("reload"); err == nil || !strings.Contains(out, lifecycle.ErrStopping.Error()) {
			t.Errorf("the reload: %v, %s, want that the service is stopping", err, out)
		}
		_ = syscall.Kill(pid, syscall.SIGHUP)
	}
	if s := d.status(); s.State != lifecycle.Draining || s.Requests != 1 || s.Drain == nil || s.Drain.Phase != lifecycle.Finishing {
		t.Errorf("status %+v, want one request that is finished", s)
	} else if s.Drain.Timeout != 3600 || s.Drain.Source != "Options.DrainTimeout" {
		t.Errorf("drain %v, want the timeout of the options", s.Drain)
	}
	d.release()
	busy.answer(1)
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
}
