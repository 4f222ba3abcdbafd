package fdstore

import (
	"errors"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/ledger"
	"github.com/heirloom-go/heirloom/notify"
)

// A Keeping is the ledger of this process: connections that are at rest outlive
// a crash by it. It belongs to the loop. The zero value keeps nothing.
type Keeping struct {
	// Off says why nothing is kept, nil if it is.
	Off error
	// Adopted is what became of the connections of the process before.
	Adopted ledger.Adopted

	conns   *conntrack.Registry
	log     hclog.Logger
	ledger  *ledger.Ledger // nil while nothing is kept
	crowded bool           // Entries may have left no room for all of ledger, unseen
	warn    *sync.Once
}

// NewKeeping makes a Keeping of connections that are not kept yet, because of
// off.
func NewKeeping(conns *conntrack.Registry, off error, log hclog.Logger) Keeping {
	return Keeping{Off: off, conns: conns, log: log, warn: new(sync.Once)}
}

// Begin keeps connections in a new ledger, if store has room for it beside so
// many sockets.
func (k *Keeping) Begin(store *Store, sockets int) {
	if k.Off = store.HasRoomForLedger(sockets); k.Off != nil {
		k.log.Debug("connections at rest will not outlive a crash", "reason", k.Off)
		return
	}
	l, err := ledger.New()
	if err == nil {
		if err = store.AddLedger(l); err != nil {
			l.End()
		}
	}
	if err != nil {
		k.Off = err
		k.log.Warn("connections at rest will not outlive a crash", "reason", err)
		return
	}
	k.GoOn(l)
	k.crowded = len(store.found.Entries) > 0
}

// BeginAgain is called when the Entries have left store. If they had left no
// room for a ledger, connections are kept from now on, as by Begin; if they had
// left room for a part of it, the rest is stored. It reports whether it has
// begun.
func (k *Keeping) BeginAgain(store *Store, sockets int) bool {
	switch {
	case k.ledger == nil && errors.Is(k.Off, ErrNoStore):
		k.Begin(store, sockets)
		return k.ledger != nil
	case k.ledger != nil && k.crowded:
		k.crowded = false
		if err := store.CompleteLedger(k.ledger); err != nil {
			k.Fail(err, store.Manager.Tell)
		}
	}
	return false
}

// GoOn keeps connections in l.
func (k *Keeping) GoOn(l *ledger.Ledger) {
	k.ledger, k.Off = l, nil
	k.conns.KeepIn(l, func(err error) {
		k.warn.Do(func() { k.log.Warn("some connections will not outlive a crash", "reason", err) })
	})
}

// End keeps nothing any more: connections may go to another process from now
// on. tell tells the service manager.
func (k *Keeping) End(reason error, tell func(...notify.State)) {
	if k.ledger == nil {
		return
	}
	k.conns.StopKeeping()
	tell(notify.FDStoreRemove(LedgerName))
	k.ledger.End()
	k.ledger, k.Off = nil, reason
}

// Fail is End because of what has gone wrong, which it says.
func (k *Keeping) Fail(reason error, tell func(...notify.State)) {
	if k.ledger != nil {
		k.log.Warn("connections at rest will not outlive a crash", "reason", reason)
	}
	k.End(reason, tell)
}

// TookOver notes what became of the connections of the process before, and says
// so.
func (k *Keeping) TookOver(a ledger.Adopted) {
	k.Adopted = a
	if a.Dropped {
		k.log.Error("processes die soon after their start: closing all connections that they have left", "connections", a.Cut)
		return
	}
	counts := []any{"connections", a.Connections, "cut", a.Cut, "lost", a.Lost}
	if a.Answered > 0 {
		counts = append(counts, "answered", a.Answered)
	}
	k.log.Info("connections outlived a crash", counts...)
}

// Stats counts what is kept. There is nothing to count while Off is set.
func (k *Keeping) Stats() ledger.Stats {
	if k.ledger == nil {
		return ledger.Stats{}
	}
	return k.ledger.Stats()
}
