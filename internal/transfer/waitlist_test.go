package transfer

import (
	"math/rand/v2"
	"testing"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// TestBatches has connections of several listeners come to rest in any order:
// each message is full all the same.
func TestBatches(t *testing.T) {
	const count = 10000
	for listeners, want := range map[int]int{1: 40, 2: 40, 7: 42} {
		endpoints := make([]*conntrack.Endpoint, listeners)
		for i := range endpoints {
			endpoints[i] = &conntrack.Endpoint{}
		}
		var waiting waitlist
		number := map[conntrack.Conn]int{}
		for i, j := range rand.Perm(count) {
			c := &numbered{}
			c.Endpoint = endpoints[j%listeners]
			number[c] = i
			waiting.push(c)
		}
		checkBatches(t, &waiting, number, want)
	}
}

// checkBatches checks that each connection goes once, those of one endpoint in
// order, in at most so many messages.
func checkBatches(t *testing.T, waiting *waitlist, number map[conntrack.Conn]int, most int) {
	t.Helper()
	last := map[*conntrack.Endpoint]int{}
	messages, total := 0, 0
	for ; waiting.count > 0; messages++ {
		b := waiting.next(handover.MaxDescriptors)
		if messages%3 == 0 { // as when the message does not fit
			waiting.putBack(b)
			b = waiting.next(len(b))
		}
		total += len(b)
		for _, c := range b {
			e := c.Base().Endpoint
			if e != b[0].Base().Endpoint || number[c] < last[e] {
				t.Fatalf("message %d: connection %d of another endpoint, or after %d", messages, number[c], last[e])
			}
			last[e] = number[c]
		}
	}
	if messages > most || total != len(number) {
		t.Errorf("%d endpoints: %d messages of %d connections, want %d of %d", len(last), messages, total, most, len(number))
	}
}

// A numbered is a connection that nothing is sent of.
type numbered struct{ conntrack.Info }

func (*numbered) Release()     {}
func (*numbered) Restore(bool) {}
