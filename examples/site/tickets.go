package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

const (
	ticketTurn = 8 * time.Hour // a key makes tickets for so long
	ticketKeys = 3             // and is then understood until it is not among the newest
)

// Tickets are the keys with which clients resume their TLS sessions. They
// outlive the process, by a reload or a restart, and are in memory only.
// Whoever has a key can read what was recorded of TLS 1.2 sessions that were
// resumed by it, so none is kept for long.
type tickets struct {
	mu     sync.Mutex
	keys   []ticketKey // the newest first
	config *tls.Config
}

type ticketKey struct {
	Made time.Time
	Key  [32]byte
}

const ticketEncoding = 1 // of the heirloom: []ticketKey as JSON

func takeTickets(service *lifecycle.Service, log hclog.Logger) (*tickets, error) {
	t := &tickets{}
	h, err := service.InheritedState("tickets")
	if err == nil && h.Version == ticketEncoding {
		err = json.Unmarshal(h.Data, &t.keys)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // clients do without: they begin new sessions
		log.Warn("the keys for session tickets are lost", "error", err)
	}
	if err := t.turn(time.Now()); err != nil {
		return nil, err
	}
	return t, service.PassState("tickets", t.handDown)
}

func (t *tickets) handDown() (lifecycle.PassedState, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	data, err := json.Marshal(t.keys)
	return lifecycle.PassedState{Version: ticketEncoding, Data: data}, err
}

// turn makes a new key if the newest has had its time: reloads do not, however
// many there are.
func (t *tickets) turn(now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.keys) > 0 && now.Sub(t.keys[0].Made) < ticketTurn {
		return nil
	}
	key := ticketKey{Made: now}
	if _, err := rand.Read(key.Key[:]); err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	t.keys = append([]ticketKey{key}, t.keys...)
	t.keys = t.keys[:min(len(t.keys), ticketKeys)]
	t.set()
	return nil
}

// use sets the keys of a configuration, now and whenever they turn.
func (t *tickets) use(config *tls.Config) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.config = config
	t.set()
}

func (t *tickets) set() {
	if t.config == nil {
		return
	}
	var keys [][32]byte // the first makes tickets, all understand them
	for _, k := range t.keys {
		keys = append(keys, k.Key)
	}
	t.config.SetSessionTicketKeys(keys)
}

// work is a worker.
func (t *tickets) work(ctx context.Context) error {
	tick := time.NewTicker(ticketTurn / 16)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if err := t.turn(now); err != nil {
				return err
			}
		}
	}
}
