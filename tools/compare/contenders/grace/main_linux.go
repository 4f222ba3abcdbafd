// Grace says hello and is replaced by facebookgo/grace, on SIGUSR2.
package main

import (
	"flag"
	"log"
	"net/http"

	"github.com/facebookgo/grace/gracehttp"

	"github.com/heirloom-go/heirloom/tools/compare/hello"
)

var version = "dev"

func main() {
	listen := flag.String("listen", "localhost:8080", "`address` to listen on, or of the socket that systemd passes")
	pidFile := flag.String("pid-file", "", "`path` to pid file")
	flag.Parse()
	handler, err := hello.Handler(version)
	if err != nil {
		log.Fatal(err)
	}
	config, err := hello.TLSConfig()
	if err != nil {
		log.Fatal(err)
	}
	// Before Serve, in which a new process ends the one before: the unit
	// outlives its main process only if another is known by then.
	if err := hello.WritePID(*pidFile); err != nil {
		log.Fatal(err)
	}
	if err := gracehttp.Serve(&http.Server{Addr: *listen, Handler: handler, TLSConfig: config}); err != nil {
		log.Fatal(err)
	}
}
