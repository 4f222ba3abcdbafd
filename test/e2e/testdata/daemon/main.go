// Daemon is examples/hello with the choices that its tests need: how it is replaced, and a Unix socket to listen on.
//
//	daemon [-listen ADDRESS | -unix PATH] [-replace automatic|beside|in-place]
//	daemon reload | status [-json]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to bind")
	path := flag.String("unix", "", "path of a Unix socket to bind instead")
	replace := flag.String("replace", "automatic", "how the process is replaced")
	flag.Parse()
	options := lifecycle.Options{
		Name:    "hello",
		Version: version,
		Logger:  hclog.New(&hclog.LoggerOptions{Name: "hello"}),
	}
	network, address := "tcp", *listen
	if *path != "" {
		network, address = "unix", *path
	}
	if err := run(options, *replace, network, address); err != nil {
		fmt.Fprintln(os.Stderr, "daemon:", err)
		os.Exit(1)
	}
}

func run(options lifecycle.Options, replace, network, address string) error {
	if flag.NArg() > 0 {
		return lifecycle.Command(context.Background(), options, flag.Args(), os.Stdout)
	}
	switch replace {
	case "automatic":
		options.ReloadMode = lifecycle.Auto
	case "beside":
		options.ReloadMode = lifecycle.NewProcess
	case "in-place":
		options.ReloadMode = lifecycle.Exec
	default:
		return fmt.Errorf("-replace %q", replace)
	}
	return serve(options, network, address)
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
	if err := service.HTTP(listener, &http.Server{Handler: handler(service.Generation())}); err != nil {
		return err
	}
	return service.Run(context.Background())
}

// handler answers like the one of examples/hello.
func handler(generation int) http.Handler {
	hello := fmt.Sprintf("hello from generation %d (pid %d, version %s)", generation, os.Getpid(), version)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d, err := time.ParseDuration(r.URL.Query().Get("d")); err == nil {
			time.Sleep(d)
		}
		n, err := io.Copy(io.Discard, r.Body)
		switch {
		case err != nil: // the client has gone
		case r.Method == http.MethodGet:
			fmt.Fprintln(w, hello)
		default:
			fmt.Fprintf(w, "%s read %d bytes\n", hello, n)
		}
	})
}
