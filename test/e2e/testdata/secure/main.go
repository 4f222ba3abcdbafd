// Secure is examples/hello over TLS. Its sessions move, except in the version
// "staying".
//
//	secure [-listen ADDRESS]
//	secure reload | status [-json]
package main

import (
	"crypto/tls"
	"flag"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/rig/hello"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to bind")
	flag.Parse()
	options := lifecycle.Options{
		Name:    "hello",
		Version: version,
		Logger:  hclog.New(&hclog.LoggerOptions{Name: "hello"}),
		Linger:  time.Minute, // clients that are told to close get the time to ask once more
		MoveTLS: version != "staying",
	}
	os.Exit(lifecycle.Main(options, flag.Args(), func(service *lifecycle.Service) error {
		listener, err := service.Listen("http", "tcp", *listen)
		if err != nil {
			return err
		}
		return service.HTTP(listener, &http.Server{
			Handler:   hello.Handler(service.Generation(), version),
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{selfsigned.New()}, NextProtos: []string{"http/1.1"}},
		})
	}))
}
