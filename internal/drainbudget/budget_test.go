package drainbudget_test

import (
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/drainbudget"
)

var timeouts = []time.Duration{
	time.Millisecond, 100 * time.Millisecond, time.Second, 5 * time.Second, 90 * time.Second, time.Hour, drainbudget.NoLimit,
}

func TestMargin(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		time.Hour:              2 * time.Second,
		10 * time.Second:       time.Second,
		3 * time.Second:        500 * time.Millisecond,
		600 * time.Millisecond: 200 * time.Millisecond,
		0:                      0,
	} {
		if got := drainbudget.Margin(timeout); got != want {
			t.Errorf("of %v: %v, want %v", timeout, got, want)
		}
	}
}

// Each moment of a drain comes after the one before, whatever there is time
// for.
func TestOrder(t *testing.T) {
	began := time.Now()
	for _, timeout := range timeouts {
		for name, b := range map[string]drainbudget.Budget{
			"unit":            drainbudget.OfUnit(began, timeout, 0, "unit"),
			"extended":        drainbudget.OfUnit(began, timeout, time.Minute, "unit"),
			"own":             drainbudget.Own(began, timeout, "own"),
			"unit with hooks": drainbudget.OfUnit(began, timeout, 0, "unit").WithHooks(),
			"own with hooks":  drainbudget.Own(began, timeout, "own").WithHooks(),
		} {
			moments := []time.Time{b.Began, b.Finish, b.Closing, b.Hooks, b.End}
			for i := range moments[1:] {
				if moments[i+1].Before(moments[i]) {
					t.Errorf("%s of %v: moment %d is %v before the one ahead of it", name, timeout, i+1, moments[i].Sub(moments[i+1]))
				}
			}
			if !b.Known() || b.Timeout != timeout {
				t.Errorf("%s of %v: %+v", name, timeout, b)
			}
		}
		if b := drainbudget.OfUnit(began, timeout, 0, "unit"); b.End.Sub(began) > timeout {
			t.Errorf("of %v: the process ends after systemd would kill it", timeout)
		}
	}
}

func TestBefore(t *testing.T) {
	began := time.Now()
	short, long := drainbudget.Own(began, time.Second, "short"), drainbudget.Own(began, time.Hour, "long")
	for _, b := range []drainbudget.Budget{short.Before(long), long.Before(short), short.Before(drainbudget.Budget{})} {
		if b != short {
			t.Errorf("the earlier is %q", b.Source)
		}
	}
	if (drainbudget.Budget{}).Known() {
		t.Error("the zero Budget is known")
	}
}

func TestDescribe(t *testing.T) {
	for timeout, want := range map[time.Duration]string{
		drainbudget.NoLimit:             "infinity",
		90 * time.Second:                "1m30s",
		1500*time.Millisecond + 300_000: "1.5s",
	} {
		if got := drainbudget.Describe(timeout); got != want {
			t.Errorf("%v: %q, want %q", timeout, got, want)
		}
	}
}
