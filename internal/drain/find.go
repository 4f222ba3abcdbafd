package drain

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/drainbudget"
	"github.com/heirloom-go/heirloom/internal/systemd"
)

const (
	// defaultTimeout is systemd's own (DefaultTimeoutStopSec= in
	// systemd-system.conf(5)).
	defaultTimeout = 90 * time.Second
	// askTimeout bounds the question for the unit's TimeoutStopSec.
	askTimeout = time.Second
)

// Find asks for the unit's TimeoutStopSec each time: drop-ins and `systemctl
// daemon-reload` may have changed it. That takes a millisecond or two, and at
// most a second. The budget is not known if alive has ended: then nothing waits
// for it.
func Find(alive context.Context, log hclog.Logger, began time.Time, extension time.Duration) drainbudget.Budget {
	ctx, cancel := context.WithTimeout(alive, askTimeout)
	defer cancel()
	t, err := systemd.StopTimeout(ctx)
	switch {
	case alive.Err() != nil: // nothing waits any more
		return drainbudget.Budget{}
	case err == nil && t.Infinite:
		return drainbudget.OfUnit(began, drainbudget.NoLimit, 0, string(t.Source))
	case err == nil:
		return drainbudget.OfUnit(began, t.Duration, extension, string(t.Source))
	case errors.Is(err, systemd.ErrNoUnit), errors.Is(err, errors.ErrUnsupported):
		return drainbudget.Own(began, defaultTimeout, "default")
	default:
		log.Warn("cannot find out the unit's TimeoutStopSec", "error", err, "assumed", defaultTimeout)
		return drainbudget.OfUnit(began, defaultTimeout, extension, "default")
	}
}
