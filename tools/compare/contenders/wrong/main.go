// Wrong takes the place of examples/hello, and breaks one request in each
// generation but the first, on a connection that it has answered before: the
// comparison must fail with it.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"

	"github.com/heirloom-go/heirloom/lifecycle"
)

func main() {
	flag.Parse()
	options := lifecycle.Options{Name: "hello"}
	err := error(nil)
	if flag.NArg() > 0 {
		err = lifecycle.Command(context.Background(), options, flag.Args(), os.Stdout)
	} else {
		err = serve(options)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "wrong:", err)
		os.Exit(1)
	}
}

func serve(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	listener, err := service.Listen("http", "tcp", "127.0.0.1:8080")
	if err != nil {
		return err
	}
	if err := service.HTTP(listener, &http.Server{Handler: handler(service.Generation())}); err != nil {
		return err
	}
	return service.Run(context.Background())
}

func handler(generation int) http.Handler {
	var connections sync.Map
	var again atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, known := connections.LoadOrStore(r.RemoteAddr, true)
		if known && generation > 1 && again.Add(1) == 10 {
			panic(http.ErrAbortHandler) // which closes the connection
		}
		fmt.Fprintf(w, "hello from generation %d (pid %d, version v1)\n", generation, os.Getpid())
	})
}
