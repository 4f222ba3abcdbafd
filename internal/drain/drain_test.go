package drain_test

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/drain"
	"github.com/heirloom-go/heirloom/internal/drainbudget"
)

// TestBegin counts the time once, and anew after it was taken back.
func TestBegin(t *testing.T) {
	d := drain.New()
	if !d.Began().IsZero() || d.Phase() != "" || d.IsOver() || d.Left() != drainbudget.NoLimit || !d.Ends().IsZero() {
		t.Errorf("before it begins: %+v", d)
	}
	if !d.Begin() || d.Begin() {
		t.Error("it does not begin once")
	}
	first := drainbudget.Own(d.Began(), time.Hour, "test")
	if !d.IsOf(first) || !d.Limit(first) || d.Limit(first) {
		t.Error("its budget is another's, or set twice")
	}
	d.Forget()
	if !d.Begin() || d.IsOf(first) || d.Left() != drainbudget.NoLimit {
		t.Error("the time was not taken back")
	}
}

// TestLimit brings deadlines closer, and moves none away.
func TestLimit(t *testing.T) {
	d := drain.New()
	d.Begin()
	for _, timeout := range []time.Duration{time.Hour, time.Minute, 2 * time.Hour} {
		d.Limit(drainbudget.Own(d.Began(), timeout, timeout.String()))
	}
	source, timeout, limited := d.Timeout()
	if source != time.Minute.String() || timeout != time.Minute || !limited || !d.Ends().Equal(d.Began().Add(time.Minute)) {
		t.Errorf("%v from %s, limited: %v", timeout, source, limited)
	}
	if d.Within(time.Second) != time.Second || d.Within(time.Hour) > 2*time.Minute {
		t.Errorf("it waits %v of an hour", d.Within(time.Hour))
	}
}

// TestDeadline comes at the end of a phase, and not before there is one.
func TestDeadline(t *testing.T) {
	d := drain.New()
	d.Begin()
	d.Limit(drainbudget.Own(time.Now().Add(-time.Hour), time.Second, "test")) // over long ago
	isDue := func() bool {
		select {
		case <-d.Deadline.C:
			return true
		case <-time.After(10 * time.Millisecond):
			return false
		}
	}
	d.Arm()
	if isDue() {
		t.Error("it is due before the first phase")
	}
	for _, p := range []drain.Phase{drain.Finishing, drain.Cancelling, drain.Closing, drain.Hooks} {
		d.Enter(p)
		<-d.Deadline.C
		if d.Phase() != p || d.IsOver() != (p == drain.Cancelling) {
			t.Errorf("%s: phase %s, over: %v", p, d.Phase(), d.IsOver())
		}
	}
	d.ArmFinish()
	<-d.Deadline.C
	d.Cut = true
	if !d.IsOver() {
		t.Error("connections may move when they were closed")
	}
}

// TestLameDuck takes at most half of the time.
func TestLameDuck(t *testing.T) {
	d := drain.New()
	d.Begin()
	d.ArmLameDuck(time.Now().Add(-time.Hour), time.Second) // however little is known
	<-d.Deadline.C
	d.Limit(drainbudget.Own(d.Began(), time.Nanosecond, "test"))
	d.ArmLameDuck(time.Now(), time.Hour)
	<-d.Deadline.C
}

// TestUnknown ends by the default where nobody has found out the time.
func TestUnknown(t *testing.T) {
	d := drain.New()
	d.Begin()
	d.Enter(drain.Finishing)
	if want := d.Began().Add(90 * time.Second); d.Known() || !d.ExitBy().Equal(want) || !d.HooksEnd().IsZero() {
		t.Errorf("known: %v, it ends at %v, hooks at %v", d.Known(), d.ExitBy(), d.HooksEnd())
	}
	d.Limit(drainbudget.Own(d.Began(), time.Hour, "test"))
	if !d.Known() || d.HooksEnd().Before(d.Ends()) || !d.ExitBy().After(d.HooksEnd()) {
		t.Errorf("known: %v, it ends at %v, hooks at %v", d.Known(), d.ExitBy(), d.HooksEnd())
	}
}

// TestFind takes what the environment says, and nothing when the process ends.
func TestFind(t *testing.T) {
	t.Setenv("HEIRLOOM_STOP_TIMEOUT", "20s")
	alive, die := context.WithCancel(context.Background())
	began := time.Now()
	b := drain.Find(alive, hclog.NewNullLogger(), began, time.Minute)
	if !b.Known() || !b.Began.Equal(began) || b.Source != "environment" && b.Source != "default" {
		t.Errorf("got %+v", b)
	}
	die()
	if b := drain.Find(alive, hclog.NewNullLogger(), began, 0); b.Known() {
		t.Errorf("a process that ends got %+v", b)
	}
}
