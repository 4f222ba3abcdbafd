// Hello is a web server that can be reloaded under full load.
//
//	hello [-listen ADDRESS]      serve
//	hello reload                 replace the running process by a new one
//	hello status [-json]         tell where it stands
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
