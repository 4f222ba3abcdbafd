package handover_test

import (
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// TestReason: a reason of any length and kind arrives, cut between characters,
// and what was sent stays the sender's.
func TestReason(t *testing.T) {
	ours, theirs := pair(t)
	for reason, want := range map[string]string{
		"because":                        "because",
		"a\x00b\nc\x1b":                  "a\x00b\nc\x1b",
		"\xff":                           "\ufffd",
		strings.Repeat("\x00", 1<<20):    strings.Repeat("\x00", 4096) + "...",
		"x" + strings.Repeat("ä", 1<<20): "x" + strings.Repeat("ä", 2047) + "...",
	} {
		sent := handover.Message{Type: handover.Failed, Reason: reason, Outcome: &handover.Outcome{Reason: reason}}
		if err := ours.Send(sent); err != nil {
			t.Errorf("%.20q: %v", reason, err)
			continue
		}
		got, _, err := theirs.Receive()
		if err != nil || got.Reason != want || got.Outcome.Reason != want {
			t.Errorf("%.20q: received %.40q and %.40q, %v, want %.40q", reason, got.Reason, got.Outcome.Reason, err, want)
		}
		if sent.Outcome.Reason != reason {
			t.Errorf("%.20q: the sender's is now %.40q", reason, sent.Outcome.Reason)
		}
	}
}
