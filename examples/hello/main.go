// Hello is a web server that "hello reload" replaces under full load, and of
// which "hello status" tells.
package main

import (
	"flag"
	"net/http"
	"os"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to bind when no socket named http is handed over")
	flag.Parse()
	options := lifecycle.Options{Name: "hello", Version: version}
	os.Exit(lifecycle.Main(options, flag.Args(), func(service *lifecycle.Service) error {
		return service.ListenAndServe(&http.Server{Addr: *listen, Handler: handler(service.Generation())})
	}))
}
