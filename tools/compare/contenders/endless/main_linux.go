// Endless says hello and is replaced by fvbock/endless, on SIGHUP.
package main

import (
	"flag"
	"log"

	"github.com/fvbock/endless"

	"github.com/heirloom-go/heirloom/tools/compare/hello"
)

var version = "dev"

func main() {
	listen := flag.String("listen", "localhost:8080", "`address` to listen on")
	pidFile := flag.String("pid-file", "", "`path` to pid file")
	flag.Parse()
	handler, err := hello.Handler(version)
	if err != nil {
		log.Fatal(err)
	}
	server := endless.NewServer(*listen, handler)
	server.BeforeBegin = func(string) { // where its README says to save it
		if err := hello.WritePID(*pidFile); err != nil {
			log.Print(err)
		}
	}
	if server.TLSConfig, err = hello.TLSConfig(); err != nil {
		log.Fatal(err)
	}
	serve := server.ListenAndServe
	if file := hello.Certificate(); file != "" {
		// It has no BeforeBegin with TLS.
		if err := hello.WritePID(*pidFile); err != nil {
			log.Fatal(err)
		}
		serve = func() error { return server.ListenAndServeTLS(file, file) }
	}
	// It returns the error of Accept also when it ends as it was told to.
	log.Print(serve())
}
