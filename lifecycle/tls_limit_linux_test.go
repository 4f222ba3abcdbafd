package lifecycle_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestMoveTLSRoomLater is TestRoomLater with sessions of TLS: where the
// successor has no room for all of them the others are served on, move when
// there is room, and none is lost. No record number is used twice: the clients
// look.
func TestMoveTLSRoomLater(t *testing.T) {
	for _, c := range []struct{ limit, idle int }{{256, 230}, {600, 574}} {
		t.Run(fmt.Sprintf("%d of %d", c.idle, c.limit), func(t *testing.T) {
			d := startMovingTLS(t, "tcp", fmt.Sprint("HEIRLOOM_TEST_NOFILE=", c.limit), "HEIRLOOM_TEST_LINGER=100ms")
			clients := make([]*client, c.idle)
			for i := range clients {
				_, clients[i] = d.dialRecords()
				clients[i].ask("/")
				clients[i].answer(1)
			}
			d.reload()
			stay, moved := divided(t, clients, c.idle/2)
			for _, c := range moved[:50] {
				_ = c.Close()
			}
			d.eventually("all to have moved", func() bool { return len(d.processes()) == 1 })
			for _, c := range append(stay, moved[50:]...) {
				c.ask("/")
				if generation, closes := c.anyAnswer(); generation != 2 || closes {
					t.Errorf("an answer of generation %d, the last: %t", generation, closes)
				}
			}
			if !strings.Contains(d.logged(), "no room for connections: they stay for now") {
				t.Error("the log does not say that there is no room")
			}
		})
	}
}
