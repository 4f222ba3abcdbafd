package reloads_test

import (
	"slices"
	"testing"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/reloads"
)

// A desk notes who is answered what.
type desk []string

func (d *desk) request(who string) reloads.Request {
	return reloads.Request{Answer: func(o handover.Outcome) { *d = append(*d, who+": "+o.Reason) }}
}

func (d *desk) check(t *testing.T, what string, want ...string) {
	t.Helper()
	if !slices.Equal(*d, want) {
		t.Errorf("%s: answered %q, want %q", what, *d, want)
	}
	*d = nil
}

func because(reason string) handover.Outcome { return handover.Outcome{Reason: reason} }

// TestShared has one reload answer those who asked before it began.
func TestShared(t *testing.T) {
	var d desk
	var r reloads.Reloads
	r.Join(d.request("a"))
	r.Join(reloads.Request{}) // a signal, which nobody waits for
	if !r.AreAsked() || r.Begin() || r.AreAsked() {
		t.Error("it did not begin for all who asked")
	}
	r.Join(d.request("b"))
	r.End(because("first"))
	d.check(t, "the first reload", "a: first")
	r.Begin()
	r.Join(d.request("c"))
	r.EndAll(because("stopping"))
	d.check(t, "at the end", "b: stopping", "c: stopping")
	if r.AreAsked() {
		t.Error("a reload is asked for after the end")
	}
}

// TestDryRun is one if all ask for one.
func TestDryRun(t *testing.T) {
	var r reloads.Reloads
	r.Join(reloads.Request{DryRun: true})
	if !r.Begin() || !r.IsDryRun() {
		t.Error("it is no dry run")
	}
	r.Join(reloads.Request{DryRun: true})
	r.Join(reloads.Request{})
	if r.Begin() || r.IsDryRun() {
		t.Error("it is a dry run, although a reload was asked for as well")
	}
}

// TestHandOver answers those of older generations first, and leaves the next
// reload to the successor.
func TestHandOver(t *testing.T) {
	var d desk
	var r reloads.Reloads
	old, older := d.request("old"), d.request("older")
	old.FromPredecessor, older.FromPredecessor = true, true
	r.Join(d.request("a"))
	r.Join(old)
	r.Begin()
	r.Join(older)
	r.Join(d.request("b"))
	r.EndFromPredecessors(because("done"))
	d.check(t, "of older generations", "old: done")
	r.End(because("done"))
	d.check(t, "of this generation", "a: done")
	left := r.Leave()
	if len(left) != 1 || r.AreAsked() {
		t.Fatalf("%d are left to the successor", len(left))
	}
	r.Forwarded(left)
	r.Forwarded(reloads.Requests{d.request("c")})
	r.Answered(because("not\x1bgood"))
	d.check(t, "by the successor", "b: not\ufffdgood")
	r.TakeForwarded().Answer(because("the successor is gone"))
	r.Answered(because("too late"))
	d.check(t, "without it", "c: the successor is gone")
}

func TestReadyText(t *testing.T) {
	for want, last := range map[string]*handover.Outcome{
		"ready": nil,
		"ready; the last reload failed: no reason was given": {},
		"ready; the last dry run failed: it died":            {DryRun: true, Reason: "it died"},
	} {
		r := reloads.Reloads{Last: last}
		if last != nil {
			failed := reloads.Failed(*last)
			r.Last = &failed
		}
		if got := r.ReadyText(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	done := reloads.Reloads{Last: &handover.Outcome{}}
	if got := done.ReadyText(); got != "ready" {
		t.Errorf("after a reload: %q", got)
	}
}
