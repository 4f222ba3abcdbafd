package lifecycle_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// A daemon that serves all that its socket unit lists: both families, say, as
// 0.0.0.0:8080 and [::]:8080, or one more address that only the operator knows.
func ExampleService_ListenAll() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	listeners, err := service.ListenAll("http", "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	for _, listener := range listeners {
		if err := service.HTTP(listener, &http.Server{Handler: http.NotFoundHandler()}); err != nil {
			log.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // a real daemon waits for a signal
	if err := service.Run(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("served", len(listeners))
	// Output: served 1
}
