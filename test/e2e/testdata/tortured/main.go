// Tortured is examples/hello with what hostile clients need: TLS on a second
// socket, and a response without an end.
//
//	tortured
//	tortured reload | status [-json]
package main

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/rig/hello"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

func main() {
	options := lifecycle.Options{
		Name:    "hello",
		Version: version,
		Logger:  hclog.New(&hclog.LoggerOptions{Name: "hello"}),
	}
	os.Exit(lifecycle.Main(options, os.Args[1:], serve))
}

func serve(service *lifecycle.Service) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		page := make([]byte, 64<<10)
		for err := error(nil); err == nil; {
			_, err = w.Write(page)
		}
	})
	mux.HandleFunc("/body", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	mux.Handle("/", hello.Handler(service.Generation(), version))
	for name, config := range map[string]*tls.Config{"http": nil, "https": {Certificates: []tls.Certificate{selfsigned.New()}}} {
		listener, err := service.Listen(name, "tcp", "127.0.0.1:0") // systemd's
		if err != nil {
			return err
		}
		server := &http.Server{Handler: mux, TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0)}
		if err := service.HTTP(listener, server); err != nil {
			return err
		}
	}
	return nil
}
