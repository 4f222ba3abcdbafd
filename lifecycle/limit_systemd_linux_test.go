package lifecycle_test

import (
	"fmt"
	"testing"
)

// TestNearLimitRestart restarts and reloads a service of
// which nearly all of its LimitNOFILE= are connections. They all stay.
// TestOwnerShortage is for what only processes without privileges meet.
func TestNearLimitRestart(t *testing.T) {
	eachSystemd(t, func(t *testing.T, d *managedDaemon) {
		generation := 1
		var clients []kept
		for _, more := range []int{150, 50, 20, 5} {
			clients = append(clients, d.connect(more)...)
			d.restart()
			generation++
			d.mustExchange(clients, generation)
			d.reload()
			generation++
			// Besides connections there are some twenty descriptors, three of
			// which are the ledger's. A connection that does not fit stays with
			// its process until there is room, and is served there until then.
			d.awaitService("0", generation)
			d.mustExchange(clients, generation)
			t.Log(fmt.Sprint(len(clients), " connections of 256"))
		}
	}, "FileDescriptorStoreMax=16", "FileDescriptorStoreMax=16\nLimitNOFILE=256")
}
