package health_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/health"
	"github.com/heirloom-go/heirloom/internal/servicemanager"
	"github.com/heirloom-go/heirloom/notify"
)

// A manager expects a sign of life within each minute, and notes when it gets
// one.
type manager struct {
	began time.Time
	signs []time.Duration
}

func (*manager) Exists() bool                 { return true }
func (*manager) WatchdogEvery() time.Duration { return time.Minute }
func (*manager) Post(...notify.State)         {}

func (m *manager) Say(servicemanager.Subject, ...notify.State) {
	m.signs = append(m.signs, time.Since(m.began))
}

// TestWatchdogAfterFailure has one check fail: others follow soon enough for a
// sign of life to come in time.
func TestWatchdogAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{began: time.Now()}
		var checks []time.Duration
		check := health.New(func(context.Context) error {
			checks = append(checks, time.Since(m.began))
			if len(checks) == 1 {
				return errors.New("a hiccup")
			}
			return nil
		}, call)
		events := make(chan func())
		w := health.NewWatchdog(m, check, health.WatchdogConfig{
			Aside:  func(f func(context.Context) func()) { go func() { events <- f(t.Context()) }() },
			Stands: func() (watched, ending bool) { return true, false },
		}, hclog.NewNullLogger())
		w.Start()
		for len(m.signs) < 3 {
			select {
			case <-w.Expired():
				w.OnBeat()
			case happened := <-events:
				happened()
			}
		}
		if first, second := checks[0], checks[1]; first != 30*time.Second || second-first > 10*time.Second {
			t.Errorf("checked at %v", checks)
		}
		if late, last := m.signs[1], m.signs[2]; late > 45*time.Second || last-late != 30*time.Second {
			t.Errorf("signs of life at %v, want them well within a minute, and every half of one when all is well", m.signs)
		}
	})
}
