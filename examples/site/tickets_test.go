package main

import (
	"testing"
	"time"
)

// TestTurn has keys come and go: the newest is first, and none is understood
// for longer than three turns.
func TestTurn(t *testing.T) {
	tickets, now := &tickets{}, time.Now()
	var made []ticketKey
	for range 10 {
		if err := tickets.turn(now); err != nil {
			t.Fatal(err)
		}
		made = append([]ticketKey{tickets.keys[0]}, made...)
		if err := tickets.turn(now.Add(ticketTurn - 1)); err != nil || tickets.keys[0] != made[0] {
			t.Errorf("it turned early, or %v", err)
		}
		if len(tickets.keys) != min(len(made), ticketKeys) {
			t.Errorf("%d keys after %d turns", len(tickets.keys), len(made))
		}
		for i, key := range tickets.keys {
			if key != made[i] {
				t.Errorf("key %d is of %v", i, key.Made)
			}
		}
		now = now.Add(ticketTurn)
	}
}
