package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// A page of figures, as an operator would ask for it.
func ExampleService_Status() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, err := service.Status(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "generation %d, %s: %v\n", status.Generation, status.State, status.Connections)
	})
	listener, err := service.Listen("admin", "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if err := service.HTTP(listener, &http.Server{Handler: page}); err != nil {
		log.Fatal(err)
	}

	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Get("http://" + listener.Addr().String())
		if err != nil {
			log.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(string(text))
	}()
	if err := service.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: generation 1, ready: 1 active, 0 idle, 0 new
}

// What a load balancer and a supervisor ask. systemd's watchdog heeds the
// health check by itself.
func ExampleService_Readiness() {
	service, err := lifecycle.New(lifecycle.Options{
		Health: func(context.Context) error { return errors.New("the database does not answer") },
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux() // of a server of the service, for those who may ask
	mux.Handle("GET /readyz", service.Readiness())
	mux.Handle("GET /livez", service.Liveness())

	for _, path := range []string{"/readyz", "/livez"} { // before Run
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		fmt.Print(path, " ", answer.Code, " ", answer.Body)
	}
	// Output:
	// /readyz 503 starting
	// /livez 503 the database does not answer
}

// A worker that only one generation runs at a time: the context ends when
// another takes over, or when the service stops.
func ExampleService_Go() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	err = service.Go("cleaner", func(ctx context.Context) error {
		fmt.Println("cleaning")
		stop() // the service, for the sake of the example
		<-ctx.Done()
		if errors.Is(context.Cause(ctx), lifecycle.ErrReplaced) {
			fmt.Println("the next generation goes on")
		} else {
			fmt.Println(context.Cause(ctx))
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := service.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// cleaning
	// the service is stopping
}

// A database that one process at a time may open. Requests that come before it
// is open have to wait.
func ExampleService_PredecessorsGone() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	err = service.Go("open the database", func(context.Context) error {
		defer stop()                 // the service, for the sake of the example
		<-service.PredecessorsGone() // whatever the context says: requests wait for it also in a drain
		fmt.Println("the database is opened")
		service.Defer("database", func(context.Context) error {
			fmt.Println("the database is closed")
			return nil
		})
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := service.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// the database is opened
	// the database is closed
}

// A database that one process at a time may open. Requests that come before it
// is open have to wait.
func ExampleService_Release() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	service.Release("database", func(context.Context) error {
		fmt.Println("the database is closed")
		return nil
	})
	mux := http.NewServeMux() // of a server of the service
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, r *http.Request) {
		report := "read from the database"
		service.Relinquish(r) // the next process need not wait for a client that is slow to read
		fmt.Fprintln(w, report)
	})
	ctx, stop := context.WithCancel(context.Background())
	err = service.Go("open the database", func(context.Context) error {
		defer stop()                   // the service, for the sake of the example
		<-service.Released("database") // whatever the context says: requests wait for it also in a drain
		fmt.Println("the database is opened")
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := service.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// the database is opened
	// the database is closed
}

// What comes last: the cache is written when no request needs it any more, and
// then the database is closed.
func ExampleService_Defer() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	service.Defer("database", func(context.Context) error {
		fmt.Println("the database is closed")
		return nil
	})
	service.Defer("cache", func(context.Context) error {
		return errors.New("the disk is full")
	})

	ctx, stop := context.WithCancel(context.Background())
	stop()
	fmt.Println("Run:", service.Run(ctx))
	// Output:
	// the database is closed
	// Run: cache: the disk is full
}

// A counter that goes on where the generation before has left it.
func ExampleService_InheritedState() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}

	var visits atomic.Int64
	const version = 1 // of the way in which the number is written
	switch before, err := service.InheritedState("visits"); {
	case errors.Is(err, fs.ErrNotExist):
		fmt.Println("nothing was handed down")
	case err != nil:
		log.Fatal(service.Fail(err))
	case before.Version == version:
		n, err := strconv.ParseInt(string(before.Data), 10, 64)
		if err != nil {
			log.Fatal(service.Fail(err))
		}
		visits.Store(n)
	}
	err = service.PassState("visits", func() (lifecycle.PassedState, error) {
		data := strconv.AppendInt(nil, visits.Load(), 10)
		return lifecycle.PassedState{Version: version, Data: data}, nil
	})
	if err != nil {
		log.Fatal(service.Fail(err))
	}
	// Output: nothing was handed down
}
