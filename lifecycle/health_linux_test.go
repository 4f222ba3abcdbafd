package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestReadiness asks in every state that a process may be asked in.
func TestReadiness(t *testing.T) {
	hang := filepath.Join(t.TempDir(), "hang")
	if err := os.WriteFile(hang, []byte("#!/bin/sh\nexec sleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	drain := patience.Of(6 * time.Second) // half of it is the lame duck's
	p := newPatient(t, lifecycle.Options{Program: hang, ReloadMode: lifecycle.NewProcess, LameDuck: time.Hour, DrainTimeout: drain})
	release := make(chan struct{})
	p.service.Defer("wait", func(context.Context) error { <-release; return nil })
	want := func(status int, text string) {
		t.Helper()
		if s, said := probe(p.service.Readiness()); s != status || said != text {
			t.Errorf("readiness is %d %q, want %d %q", s, said, status, text)
		}
	}
	want(http.StatusServiceUnavailable, "starting")
	p.run()
	p.awaitState(lifecycle.Ready)
	want(http.StatusOK, "ready")

	reloaded := make(chan error)
	go func() { reloaded <- p.service.Reload(context.Background()) }()
	p.awaitState(lifecycle.Reloading)
	want(http.StatusOK, "ready")

	p.stop()
	p.awaitState(lifecycle.LameDuck)
	want(http.StatusServiceUnavailable, "lame duck")
	if err := <-reloaded; !errors.Is(err, lifecycle.ErrStopping) {
		t.Errorf("Reload: %v, want ErrStopping", err)
	}

	p.awaitState(lifecycle.Draining)
	want(http.StatusServiceUnavailable, "draining")
	close(release)
	p.awaitEnd()
	want(http.StatusServiceUnavailable, "gone")
}

// TestLiveness has many ask at a time, who share a run of the check, and who do
// not wait for it longer than they have time.
func TestLiveness(t *testing.T) {
	var p *patient
	var runs atomic.Int32
	p = newPatient(t, lifecycle.Options{Health: func(ctx context.Context) error { runs.Add(1); return p.check(ctx) }})
	liveness := p.service.Liveness()
	first := make(chan int)
	go func() { status, _ := probe(liveness); first <- status }()
	<-p.asked // beAsked may take longer, to measure its limit, than liveness waits
	impatient, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("gone home"))
	for range 20 {
		w := &answer{header: http.Header{}}
		liveness.ServeHTTP(w, (&http.Request{}).WithContext(impatient))
		if w.status != http.StatusServiceUnavailable || !strings.Contains(w.text, "gone home") {
			t.Errorf("liveness is %d %q for who does not wait", w.status, w.text)
		}
	}
	p.verdict <- nil
	if status := <-first; status != http.StatusOK {
		t.Errorf("liveness is %d for who asked first", status)
	}
	go func() {
		<-p.asked
		p.verdict <- errors.New("sick")
	}()
	if status, text := probe(liveness); status != http.StatusServiceUnavailable || text != "sick" {
		t.Errorf("liveness is %d %q, want the error of another run", status, text)
	}
	if n := runs.Load(); n != 2 {
		t.Errorf("the check ran %d times, want twice", n)
	}
	if status, text := probe(newPatient(t, lifecycle.Options{}).service.Liveness()); status != http.StatusOK || text != "alive" {
		t.Errorf("liveness is %d %q without a check", status, text)
	}
}

// An answer is what a handler wrote.
type answer struct {
	header http.Header
	status int
	text   string
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(b []byte) (int, error) { a.text += string(b); return len(b), nil }

// TestUnwellSuccessor reloads into a program that is not well: the reload fails
// with what its check says.
func TestUnwellSuccessor(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=watched", "HEIRLOOM_TEST_RELOAD="+span(10*time.Second))
	for _, test := range []struct{ health, says string }{
		{"the database is gone", "health check: the database is gone"},
		{"dead", "health check: the disk is on fire: the service is dead"},
		{"hangs", "health check: the health check did not end within"},
	} {
		d.say("health", test.health)
		if out, err := d.command("reload"); err == nil || !strings.Contains(out, test.says) {
			t.Errorf("reload: %v, %s, want %q", err, out, test.says)
		}
		if s := d.status(); s.Generation != 1 || s.State != lifecycle.Ready {
			t.Errorf("status %+v, want generation 1, as before", s)
		}
	}
	d.say("health", "well")
	d.reload()
	if s := d.status(); s.Generation != 2 {
		t.Errorf("generation %d serves, want 2", s.Generation)
	}
}

// TestUnwellFirst starts a service that is not well, which nobody would serve
// instead of.
func TestUnwellFirst(t *testing.T) {
	p := newPatient(t, lifecycle.Options{Health: func(context.Context) error { return errors.New("sick") }})
	p.run()
	p.awaitState(lifecycle.Ready)
	if status, text := probe(p.service.Liveness()); status != http.StatusServiceUnavailable || text != "sick" {
		t.Errorf("liveness is %d %q", status, text)
	}
	p.stop()
	p.awaitEnd()
}

// TestReadinessOfReplaced asks a process that drains, having been replaced, on
// a connection that cannot move.
func TestReadinessOfReplaced(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=watched", "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_LINGER=1m")
	c := d.dialTLS()
	c.ask("/")
	c.answer(1)
	d.reload()
	c.ask("/readyz")
	_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if g := response.Header.Get("Generation"); response.StatusCode != http.StatusOK || g != "1" || !response.Close {
		t.Errorf("%s from generation %s, closes: %v; want 200 from the first, and the last of its connection", response.Status, g, response.Close)
	}
}

// TestReadinessOfSuccessor asks a successor that serves alone and is not the
// main process yet: the service is ready all the while, and the status says how
// far it is.
func TestReadinessOfSuccessor(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=watched")
	d.write("hold", "1 handed over")
	goOn := func() { _ = os.Remove(filepath.Join(d.dir, "hold")) }
	t.Cleanup(goOn)
	reloaded := d.reloadInBackground()
	d.awaitFile("held")
	c := d.dial()
	c.ask("/readyz")
	_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if g := response.Header.Get("Generation"); response.StatusCode != http.StatusOK || g != "2" {
		t.Errorf("%s from generation %s, want 200 from the second", response.Status, g)
	}
	if s := d.status(); s.State != lifecycle.Starting || s.Generation != 2 || len(s.Predecessors) != 0 || s.Ledger != nil {
		t.Errorf("status %+v, want generation 2, which starts", s)
	}
	goOn()
	if err := <-reloaded; err != nil {
		t.Error(err)
	}
	if s := d.status(); s.State != lifecycle.Ready || s.Generation != 2 {
		t.Errorf("status %+v, want generation 2, which is ready", s)
	}
}

// say writes what a file in the RuntimeDirectory has to say.
func (d *local) say(file, text string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, file), []byte(fmt.Sprintln(text)), 0o644); err != nil {
		d.t.Fatal(err)
	}
}
