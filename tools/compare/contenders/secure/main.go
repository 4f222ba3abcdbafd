// Secure takes the place of examples/hello where clients speak TLS: it is the
// same service, for HTTP/1.1 and HTTP/2 over TLS, whose connections move.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/tools/compare/hello"
)

var version = "dev"

func main() {
	flag.Parse()
	options := lifecycle.Options{Name: "hello", Version: version, MoveTLS: true}
	os.Exit(lifecycle.Main(options, flag.Args(), func(service *lifecycle.Service) error {
		answer := fmt.Sprintf("hello from generation %d (pid %d, version %s)", service.Generation(), os.Getpid(), version)
		listener, err := service.Listen("http", "tcp", "127.0.0.1:8080") // the name that it has in the units
		if err != nil {
			return err
		}
		mux := http.NewServeMux() // as the others have one
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, answer) })
		server := &http.Server{Handler: mux}
		if err := service.HTTPS(listener, server, hello.Certificate(), hello.Certificate()); err != nil {
			return err
		}
		return service.Run(context.Background())
	}))
}
