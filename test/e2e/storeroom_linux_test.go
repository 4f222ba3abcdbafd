package e2e_test

import (
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestLedgerBesideOldQueues restarts a service whose store has the fewest
// places that are enough, and which leaves so much that its queue takes several
// sockets. The ledger of the next process finds too few places until that has
// taken over, or none, and is whole then.
func TestLedgerBesideOldQueues(t *testing.T) {
	t.Parallel()
	for name, states := range map[string]string{"two": "40x10", "all that fit": "300x4000"} {
		for _, v := range sdtest.Versions() {
			t.Run(name+" on "+v.String(), func(t *testing.T) {
				t.Parallel()
				h := crashing(t, v, withoutSocket, setting("Service", "FileDescriptorStoreMax", "6"),
					setting("Service", "Environment", "HEIRLOOM_TEST_STATES="+states))
				idle := call(t, h.target(), 10)
				h.keeps(10)
				const whole = 5 // the listener, the handover socket, and three descriptors of the ledger
				h.wait("all to be stored", func() bool { return h.stored() == whole })
				mustRestart(t, h)
				h.keeps(10)
				h.wait("all to be stored again", func() bool { return h.stored() == whole })
				if s := h.crashed(); s.Generation != 3 {
					t.Errorf("status %+v, want generation 3", s)
				}
				idle.expect(3)
				h.wait("all to be stored after the crash", func() bool { return h.stored() == whole })
			})
		}
	}
}
