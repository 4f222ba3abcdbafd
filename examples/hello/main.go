// Hello is a web server that can be reloaded under full load.
//
//	hello [-listen ADDRESS]      serve
//	hello reload                 replace the running process by a new one
//	hello status [-json]         tell where it stands
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to bind when no socket named http is handed over")
	flag.Parse()
	log := hclog.New(&hclog.LoggerOptions{Name: "hello"})
	options := lifecycle.Options{Name: "hello", Version: version, Logger: log}

	err := error(nil)
	if flag.NArg() > 0 {
		err = lifecycle.Command(context.Background(), options, flag.Args(), os.Stdout)
	} else {
		err = serve(options, *listen)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
}

func serve(options lifecycle.Options, address string) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	listener, err := service.Listen("http", "tcp", address)
	if err != nil {
		return err
	}
	if err := service.HTTP(listener, &http.Server{Handler: handler(service.Generation())}); err != nil {
		return err
	}
	return service.Run(context.Background())
}
