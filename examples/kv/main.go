// Kv is a key-value store with an HTTP interface, on a database file that one process at a time may have. It is reloaded,
// restarted and upgraded without losing a write, or a request.
//
//	kv [-listen ADDRESS] [-db FILE]   serve
//	kv reload                         replace the running process by a new one
//	kv status [-json]                 tell where it stands
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

func main() {
	listen := flag.String("listen", "127.0.0.1:8090", "address to bind when no socket named http is handed over")
	file := flag.String("db", filepath.Join(os.Getenv("STATE_DIRECTORY"), "kv.db"), "database `file`")
	flag.Parse()
	options := lifecycle.Options{Name: "kv", Version: version, Logger: hclog.New(&hclog.LoggerOptions{Name: "kv"})}

	err := error(nil)
	if flag.NArg() > 0 {
		err = lifecycle.Command(context.Background(), options, flag.Args(), os.Stdout)
	} else {
		err = serve(options, *listen, *file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kv:", err)
		os.Exit(1)
	}
}

func serve(options lifecycle.Options, address, file string) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	store, err := newStore(service, file, options.Logger)
	if err != nil {
		return service.Fail(err)
	}
	listener, err := service.Listen("http", "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: handler(store),
		// On a reload all clients wait for the slowest request of the process before, which keeps the database until it is
		// answered. So this is also the longest that anybody waits.
		ReadTimeout:  10 * time.Second,
		WriteTimeout: 10 * time.Second,
		IdleTimeout:  10 * time.Minute, // the default is ReadTimeout
	}
	if err := service.HTTP(listener, server); err != nil {
		return err
	}
	return service.Run(context.Background())
}
