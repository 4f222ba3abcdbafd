// Kv is a key-value store with an HTTP interface, on a database file that one
// process at a time may have. It is reloaded, restarted and upgraded without
// losing a write, or a request.
//
//	kv [-listen ADDRESS] [-db FILE]   serve
//	kv reload                         replace the running process by a new one
//	kv status [-json]                 tell where it stands
package main

import (
	"flag"
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
	log := hclog.New(&hclog.LoggerOptions{Name: "kv", DisableTime: os.Getenv("JOURNAL_STREAM") != ""})
	options := lifecycle.Options{Name: "kv", Version: version, Logger: log}
	os.Exit(lifecycle.Main(options, flag.Args(), func(service *lifecycle.Service) error {
		store, err := newStore(service, *file, log)
		if err != nil {
			return err
		}
		return service.ListenAndServe(server(*listen, store))
	}))
}

func server(address string, store *store) *http.Server {
	return &http.Server{
		Addr:    address,
		Handler: handler(store),
		// On a reload all clients wait for the slowest write of the process
		// before, which keeps the database until it has it. So this is also the
		// longest that anybody waits.
		ReadTimeout: 10 * time.Second,
		// Who is slow to read a response keeps nobody waiting.
		WriteTimeout: time.Minute,
		IdleTimeout:  10 * time.Minute, // the default is ReadTimeout
	}
}
