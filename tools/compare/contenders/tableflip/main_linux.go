// Tableflip says hello and is replaced by cloudflare/tableflip, on SIGHUP. It
// is the example of its documentation, graceful shutdown with net/http, and
// ends as well on SIGTERM as when it was replaced: the example leaves that to
// its reader.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cloudflare/tableflip"

	"github.com/heirloom-go/heirloom/tools/compare/hello"
)

var version = "dev"

func main() {
	listen := flag.String("listen", "localhost:8080", "`address` to listen on")
	pidFile := flag.String("pid-file", "", "`path` to pid file")
	flag.Parse()
	if err := run(*listen, *pidFile); err != nil {
		log.Fatal(err)
	}
}

func run(listen, pidFile string) error {
	upgrader, err := tableflip.New(tableflip.Options{PIDFile: pidFile})
	if err != nil {
		return err
	}
	defer upgrader.Stop()
	go heed(upgrader)

	listener, err := upgrader.Listen("tcp", listen) // before Ready
	if err != nil {
		return err
	}
	handler, err := hello.Handler(version)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler}
	go func() {
		if err := hello.Serve(server, listener); !errors.Is(err, http.ErrServerClosed) {
			log.Print("HTTP server: ", err)
		}
	}()
	if err := upgrader.Ready(); err != nil {
		return err
	}
	<-upgrader.Exit()
	// No new upgrades can be performed if the parent does not exit.
	time.AfterFunc(30*time.Second, func() { log.Fatal("graceful shutdown timed out") })
	return server.Shutdown(context.Background())
}

func heed(upgrader *tableflip.Upgrader) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM)
	for s := range signals {
		if s == syscall.SIGTERM {
			upgrader.Stop()
		} else if err := upgrader.Upgrade(); err != nil {
			log.Print("upgrade failed: ", err)
		}
	}
}
