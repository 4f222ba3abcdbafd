package activation_test

import (
	"fmt"
	"log"

	"github.com/heirloom-go/heirloom/activation"
)

// A listener for each of four workers, among which the kernel spreads the
// connections.
func ExampleTable_ListenGroup() {
	table, err := activation.Inherit()
	if err != nil {
		log.Fatal(err)
	}
	listeners, err := table.ListenGroup("web", "tcp", "127.0.0.1:0", 4)
	if err != nil {
		log.Fatal(err)
	}
	addresses := map[string]bool{}
	for _, listener := range listeners {
		defer listener.Close()
		addresses[listener.Addr().String()] = true
	}
	fmt.Println("listeners:", len(listeners), "addresses:", len(addresses))
	// Output: listeners: 4 addresses: 1
}
