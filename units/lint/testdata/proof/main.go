// Proof is examples/hello with what some rules take to be shown: a Unix socket to
// listen on, requests that keep a processor busy, and such that end the process.
//
//	proof [-unix PATH]
//	proof reload
//	proof status
//
// It is called what its file is called.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/hello"
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
	os.Exit(lifecycle.Main(options, flag.Args(), func(service *lifecycle.Service) error {
		return serve(service, network, address)
	}))
}

func serve(service *lifecycle.Service, network, address string) error {
	listener, err := service.Listen("http", network, address)
	if err != nil {
		return err
	}
	say := func(w http.ResponseWriter) { fmt.Fprintln(w, hello.Line(service.Generation(), "v1")) }
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { say(w) })
	http.HandleFunc("/burn", func(w http.ResponseWriter, _ *http.Request) {
		for used() < 1200*time.Millisecond {
		}
		say(w)
	})
	http.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(0) })
	return service.HTTP(listener, &http.Server{})
}

// used is how long the process has kept processors busy.
func used() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}
