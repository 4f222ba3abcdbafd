package loadtest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
)

// Example puts four clients on a server and sees whether one of them has reason
// to complain.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, "hello from generation 1 (pid 123, version dev)\n"); err != nil {
			fmt.Println(err)
		}
	}))
	defer server.Close()

	run := loadtest.Start(
		loadtest.Target{Address: server.Listener.Addr().String()},
		map[loadtest.Class]int{loadtest.KeepAlive: 3, loadtest.Pipelined: 0, loadtest.ByteByByte: 1},
	)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run.WaitGeneration(ctx, 1); err != nil {
		fmt.Println(err)
	}
	report := run.Stop()
	fmt.Println(report.Clients, "clients,", report.Broken, "broken,", report.Connections, "connections")
	// Output: 4 clients, 0 broken, 4 connections
}
