// Proof is examples/hello with what some rules take to be shown: a Unix socket to listen on, requests that keep a processor busy, and
// such that end the process.
//
//	proof [-unix PATH]
//	proof reload
//	proof status
//
// It is called what its file is called.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/lifecycle"
)

func main() {
	path := flag.String("unix", "", "path of a Unix socket, instead of a port")
	flag.Parse()
	options := lifecycle.Options{Name: filepath.Base(os.Args[0])}
	network, address := "tcp", "127.0.0.1:8080"
	if *path != "" {
		network, address = "unix", *path
	}
	err := error(nil)
	if flag.NArg() > 0 {
		err = lifecycle.Command(context.Background(), options, flag.Args(), os.Stdout)
	} else {
		err = serve(options, network, address)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "proof:", err)
		os.Exit(1)
	}
}

func serve(options lifecycle.Options, network, address string) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	listener, err := service.Listen("http", network, address)
	if err != nil {
		return err
	}
	hello := func(w http.ResponseWriter) {
		fmt.Fprintf(w, "hello from generation %d (pid %d, version v1)\n", service.Generation(), os.Getpid())
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { hello(w) })
	http.HandleFunc("/burn", func(w http.ResponseWriter, _ *http.Request) {
		for used() < 1200*time.Millisecond {
		}
		hello(w)
	})
	http.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(0) })
	if err := service.HTTP(listener, &http.Server{}); err != nil {
		return err
	}
	return service.Run(context.Background())
}

// used is how long the process has kept processors busy.
func used() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}
