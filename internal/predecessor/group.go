package predecessor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// A Group are the older generations that this process hears of. It belongs to
// the loop. The zero value has none.
type Group struct{ all []*Predecessor }

// Len returns how many there are.
func (g *Group) Len() int { return len(g.all) }

// Add adds one.
func (g *Group) Add(p *Predecessor) { g.all = append(g.all, p) }

// Remove removes one.
func (g *Group) Remove(p *Predecessor) {
	g.all = slices.DeleteFunc(g.all, func(q *Predecessor) bool { return p == q })
}

// NewestFirst returns all of them, the newest first. The slice is the caller's.
func (g *Group) NewestFirst() []*Predecessor {
	all := slices.Clone(g.all)
	slices.SortFunc(all, func(p, q *Predecessor) int { return q.Generation - p.Generation })
	return all
}

// Oldest returns the oldest. There must be one.
func (g *Group) Oldest() *Predecessor {
	return slices.MinFunc(g.all, func(p, q *Predecessor) int { return p.Generation - q.Generation })
}

// Post posts a message to all.
func (g *Group) Post(m handover.Message) {
	for _, p := range g.all {
		_ = p.Post(m)
	}
}

// Give hands all of them to a successor: see Predecessor.Give. None is left.
func (g *Group) Give(successor *handover.Outbox, log hclog.Logger) {
	for _, p := range g.all {
		if err := p.Give(successor); err != nil {
			log.Debug("cannot pass on an older generation", "pid", p.PID, "error", err)
		}
	}
	g.all = nil
}

// Close lets all of them go.
func (g *Group) Close() {
	for _, p := range g.all {
		p.Close()
	}
}

// reportTimeout bounds the wait for reports.
const reportTimeout = 500 * time.Millisecond

// An Account is a Report of a Predecessor, or says why there is none.
type Account struct {
	PID        int
	Generation int
	handover.Report
	Missing string // why there is no Report, "" if there is
}

// Ask asks all of them at once for a Report, and waits half a second. One that
// ends meanwhile is left out.
func Ask(ctx context.Context, all []*Predecessor) []Account {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	answers := make([]*Account, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { answers[i] = p.account(ctx) })
	}
	wg.Wait()
	var accounts []Account
	for _, a := range answers {
		if a != nil {
			accounts = append(accounts, *a)
		}
	}
	return accounts
}

func (p *Predecessor) account(ctx context.Context) *Account {
	r, err := p.Report(ctx)
	a := &Account{PID: p.PID, Generation: p.Generation, Report: r}
	switch {
	case err == nil:
	case errors.Is(err, ErrSilent):
		a.Missing = err.Error()
	case ctx.Err() == nil:
		return nil
	default:
		a.Missing = "it did not answer in time"
	}
	return a
}
