// Drainer is a daemon to be stopped: its requests, hooks and whatever else holds
// a stop take as long as its tests say.
//
//	drainer [-listen ADDRESS] [-plain] [FLAGS]
//	drainer reload | status [-json]
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/rig/hello"
	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

// Flags are what a test may choose.
type flags struct {
	listen string
	plain  bool
	ready  time.Duration
	from   int
	hooks  []string
}

func main() {
	var f flags
	options := lifecycle.Options{Name: "drainer", Version: version, Logger: hclog.New(&hclog.LoggerOptions{Name: "drainer"})}
	flag.StringVar(&f.listen, "listen", "127.0.0.1:8080", "address to bind when no socket named http is handed over")
	flag.BoolVar(&f.plain, "plain", false, "serve with net/http alone, and its Shutdown")
	flag.DurationVar(&f.ready, "ready", 0, "how long generations take to be ready, from that of -ready-from on")
	flag.IntVar(&f.from, "ready-from", 2, "see -ready")
	flag.Func("hook", "how long a hook takes, or hang; more than one may be given", func(s string) error {
		f.hooks = append(f.hooks, s)
		return nil
	})
	flag.DurationVar(&options.DrainTimeout, "drain", 0, "Options.DrainTimeout")
	flag.DurationVar(&options.StopExtension, "extension", 0, "Options.StopExtension")
	flag.DurationVar(&options.LameDuck, "lame-duck", 0, "Options.LameDuck")
	flag.DurationVar(&options.Linger, "linger", 0, "Options.Linger")
	flag.Parse()
	if f.plain {
		servePlain(f.listen)
		return
	}
	os.Exit(lifecycle.Main(options, flag.Args(), f.serve))
}

func (f flags) serve(service *lifecycle.Service) error {
	if service.Generation() >= f.from {
		time.Sleep(f.ready)
	}
	listener, err := service.Listen("http", "tcp", f.listen)
	if err != nil {
		return err
	}
	if err := service.HTTP(listener, &http.Server{Handler: handler(service.Generation())}); err != nil {
		return err
	}
	for _, h := range f.hooks {
		service.Defer("hook "+h, func(ctx context.Context) error { return hook(ctx, h) })
	}
	return nil
}

// hook takes as long as it was told to, or hangs.
func hook(ctx context.Context, how string) error {
	d, err := time.ParseDuration(how)
	if err != nil {
		select {} // hang
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// servePlain is what a daemon does that has only net/http.
func servePlain(address string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: handler(1)}
	go func() { _ = server.Serve(listener) }()
	<-signals
	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// handler answers /sleep after a while. It says by 103 (Early Hints) that it has
// begun, and in its answer what it was asked for.
func handler(generation int) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sleep", func(w http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.FormValue("d"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusEarlyHints)
		first := fmt.Sprintf("generation %d has slept %s", generation, d)
		rest := fmt.Sprintf(" for %s\n", r.FormValue("id"))
		switch r.FormValue("how") {
		case "chunks":
			first = answerBegun(w, first)
		case "length":
			w.Header().Set("Content-Length", fmt.Sprint(len(first+rest)))
			first = answerBegun(w, first)
		case "stubborn":
			sleepStubbornly(d)
			d = 0
		}
		select {
		case <-time.After(d):
			fmt.Fprint(w, first+rest)
		case <-r.Context().Done():
			fmt.Fprintf(os.Stderr, "drainer: request %s was cancelled: %v\n", r.FormValue("id"), context.Cause(r.Context()))
		}
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, hello.Line(generation, version))
	})
	return mux
}

// answerBegun has the client see the first part of the answer, and returns what
// is left of it.
func answerBegun(w http.ResponseWriter, part string) string {
	fmt.Fprint(w, part)
	_ = http.NewResponseController(w).Flush()
	return ""
}

// sleepStubbornly does not care who has gone meanwhile.
func sleepStubbornly(d time.Duration) { time.Sleep(d) }
