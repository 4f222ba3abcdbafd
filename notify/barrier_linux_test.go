package notify_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/notify"
)

// TestFullQueue sends into a queue without room: the message must wait, and
// arrive.
func TestFullQueue(t *testing.T) {
	leakcheck.Check(t)
	r, n, path := pairAt(t, notify.SendTimeout)
	fillers := fill(t, path)
	done := make(chan error, 1)
	go func() { done <- n.Notify(notify.Ready()) }()
	awaitSendmsg(t, done)
	for range fillers {
		if got := r.next().text; got != "filler" {
			t.Fatalf("received %q", got)
		}
	}
	if got := r.next().text; got != "READY=1" {
		t.Errorf("received %q", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.none()
}

func TestQueueStaysFull(t *testing.T) {
	leakcheck.Check(t)
	r, n, path := pairAt(t, time.Millisecond)
	fillers := fill(t, path)
	if err := n.Notify(notify.Ready()); !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	for range fillers {
		r.next()
	}
	r.none()
	if err := n.Notify(notify.Ready()); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// TestBarrierGivesUp ends the context of a Barrier that waits for room.
func TestBarrierGivesUp(t *testing.T) {
	leakcheck.Check(t)
	_, n, path := pairAt(t, notify.SendTimeout)
	fill(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Barrier(ctx) }()
	awaitSendmsg(t, done)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestBarrierGivesUpItsPlace ends the context of a Barrier that waits behind a
// Notify, which must not end with it.
func TestBarrierGivesUpItsPlace(t *testing.T) {
	leakcheck.Check(t)
	r, n, path := pairAt(t, notify.SendTimeout)
	fillers := fill(t, path)
	done := make(chan error, 1)
	go func() { done <- n.Notify(notify.Ready()) }()
	awaitSendmsg(t, done)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := n.Barrier(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Barrier: got %v", err)
	}
	for range fillers {
		r.next()
	}
	if got := r.next().text; got != "READY=1" {
		t.Errorf("received %q", got)
	}
	if err := <-done; err != nil {
		t.Errorf("Notify: %v", err)
	}
	r.none()
}

func TestBarrier(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	done := make(chan error, 1)
	go func() { done <- n.Barrier(t.Context()) }()
	got := r.next()
	if got.text != "BARRIER=1" || len(got.fds) != 1 {
		t.Fatalf("received %q with %d descriptors", got.text, len(got.fds))
	}
	// The writing end is here, so that the barrier stands as long as we do not
	// close it. Nothing else could end it: the next message goes through
	// meanwhile, and the barrier is still there.
	if err := n.Notify(notify.Watchdog()); err != nil {
		t.Fatal(err)
	}
	if text := r.next().text; text != "WATCHDOG=1" {
		t.Fatalf("received %q", text)
	}
	select {
	case err := <-done:
		t.Fatalf("ended before the manager closed its end: %v", err)
	default:
	}
	got.close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBarrierNeverLifted(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Barrier(ctx) }()
	got := r.next()
	defer got.close()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := n.Barrier(late); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	second, err := r.receive(unix.MSG_DONTWAIT) // if it came to that before the deadline
	if err == nil {
		second.close()
	}
	r.none()
}

func TestBarrierWithEndedContextSendsNothing(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if err := n.Barrier(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	r.none()
}

func TestBarrierManagerDies(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	done := make(chan error, 1)
	go func() { done <- n.Barrier(t.Context()) }()
	var peeked [1]byte
	if _, _, err := unix.Recvfrom(r.fd, peeked[:], unix.MSG_PEEK); err != nil {
		t.Fatal(err)
	}
	r.close() // and with it the message in its queue
	if err := <-done; err != nil {
		t.Error(err)
	}
}
