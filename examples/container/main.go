// Links redirects short names to long addresses, as /docs to
// https://example.org/documentation. It is made for containers: it is process 1
// of its own, has nothing beside it, and is replaced in that process when its
// configuration has changed.
//
//	links [flags]          serve
//	links reload           read the configuration again
//	links status [-json]   tell where it stands
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

type flags struct{ listen, admin, config string }

func main() {
	var f flags
	flag.StringVar(&f.listen, "listen", ":8080", "address to bind when no socket named http is handed over")
	flag.StringVar(&f.admin, "admin", ":8081", "address for probes, to bind when no socket named admin is handed over")
	flag.StringVar(&f.config, "config", "/etc/links/links.json", "configuration `file`")
	lameDuck := flag.Duration("lame-duck", 0, "how long to go on accepting after SIGTERM, while readiness is denied")
	flag.Parse()
	options := lifecycle.Options{
		Name: "links", Version: version, LameDuck: *lameDuck,
		// In place the next program cannot be undone: a bad configuration is to
		// be found out before.
		DryRun: true,
		Logger: hclog.New(&hclog.LoggerOptions{Name: "links", JSONFormat: true}), // to stderr, which the engine collects
	}

	if flag.NArg() > 0 {
		if err := lifecycle.Command(context.Background(), options, flag.Args(), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "links:", err)
			os.Exit(1)
		}
		return
	}
	if err := serve(options, f); err != nil {
		options.Logger.Error("ended", "error", err)
		os.Exit(1)
	}
}

func serve(options lifecycle.Options, f flags) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	links, err := readLinks(f.config)
	if err != nil {
		return service.Fail(err)
	}
	for _, s := range []struct {
		name, address string
		handler       http.Handler
	}{
		{"http", f.listen, redirects(links)},
		{"admin", f.admin, probes(service)},
	} {
		listener, err := service.Listen(s.name, "tcp", s.address)
		if err != nil {
			return err
		}
		if err := service.HTTP(listener, server(s.handler)); err != nil {
			return err
		}
	}
	return service.Run(context.Background())
}

// requestTime is how long a request may take to come, and again its answer to
// go. On a reload in place all wait for the slowest, the probes too: a
// livenessProbe must be more patient than that.
const requestTime = 5 * time.Second

func server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:      handler,
		ReadTimeout:  requestTime,
		WriteTimeout: requestTime,
		IdleTimeout:  10 * time.Minute, // the default is ReadTimeout
	}
}
