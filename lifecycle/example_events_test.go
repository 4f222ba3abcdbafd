package lifecycle_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// events ends its streams when the process is to leave. The browser connects
// again, to the next process, and says which event it has seen last.
func events(service *lifecycle.Service) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			fmt.Fprintf(w, "id: %d\ndata: generation %d\n\n", time.Now().Unix(), service.Generation())
			_ = http.NewResponseController(w).Flush()
			select {
			case <-ticker.C:
			case <-service.Draining():
				return
			case <-r.Context().Done():
				return
			}
		}
	}
}

// Server-sent events, and a client of them that sees the service end.
func ExampleService_Draining() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := service.Listen("http", "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if err := service.HTTP(listener, &http.Server{Handler: events(service)}); err != nil {
		log.Fatal(err)
	}

	ctx, stop := context.WithCancel(context.Background())
	var client sync.WaitGroup
	client.Go(func() { follow(listener.Addr(), stop) })
	if err := service.Run(ctx); err != nil {
		log.Fatal(err)
	}
	client.Wait()
	// Output:
	// text/event-stream
	// the stream ended
}

func follow(server net.Addr, stop func()) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + server.String())
	stop()
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	fmt.Println(response.Header.Get("Content-Type"))
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		log.Fatal(err)
	}
	fmt.Println("the stream ended")
}
