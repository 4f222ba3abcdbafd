// Chat is a chat server for clients such as nc, and can be reloaded in the
// middle of a word.
//
//	chat [-listen ADDRESS]      serve
//	chat reload                 replace the running process by a new one
//	chat status [-json]         tell where it stands
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

func main() {
	listen := flag.String("listen", "127.0.0.1:7000", "address to bind when no socket named chat is handed over")
	flag.Parse()
	log := hclog.New(&hclog.LoggerOptions{Name: "chat"})
	options := lifecycle.Options{Name: "chat", Version: version, Logger: log}

	err := error(nil)
	if flag.NArg() > 0 {
		err = lifecycle.Command(context.Background(), options, flag.Args(), os.Stdout)
	} else {
		err = serve(options, *listen)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

func serve(options lifecycle.Options, address string) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	hub, err := newHub(service, options.Logger)
	if err != nil {
		return service.Fail(err)
	}
	listener, err := service.Listen("chat", "tcp", address)
	if err != nil {
		return err
	}
	if err := service.ServeStreams(listener, hub.serve); err != nil {
		return err
	}
	return service.Run(context.Background())
}
