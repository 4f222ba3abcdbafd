// Crasher is examples/hello with requests that kill the process, and a log in
// the RuntimeDirectory of what each connection does. While that has a file named
// hold-start, no process starts, and while it has hold-request, /held waits.
//
//	crasher [-listen ADDRESS]
//	crasher reload | status [-json]
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/rig/hello"
	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

func main() {
	options := lifecycle.Options{
		Name:    "hello",
		Version: version,
		Logger:  hclog.New(&hclog.LoggerOptions{Name: "hello", Level: hclog.Debug}),
	}
	if os.Getenv("HEIRLOOM_TEST_IN_PLACE") != "" {
		options.ReloadMode = lifecycle.Exec
	}
	address := flag.String("listen", "127.0.0.1:8080", "address to bind")
	flag.Parse()
	if flag.NArg() == 0 {
		await("hold-start")
	}
	os.Exit(lifecycle.Main(options, flag.Args(), func(service *lifecycle.Service) error {
		return serve(service, *address)
	}))
}

func serve(service *lifecycle.Service, address string) error {
	if os.Getenv("HEIRLOOM_TEST_WITHOUT_LEDGER") != "" {
		if err := service.WithoutLedger(); err != nil {
			return err
		}
	}
	if os.Getenv("HEIRLOOM_TEST_ANSWER_LOST") != "" {
		if err := service.AnswerLostRequests(); err != nil {
			return err
		}
	}
	if err := passStates(service); err != nil {
		return err
	}
	listener, err := service.Listen("http", "tcp", address)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(os.Getenv("RUNTIME_DIRECTORY"), "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler(service.Generation()), ConnState: func(nc net.Conn, state http.ConnState) {
		fmt.Fprintln(log, nc.RemoteAddr(), state)
	}}
	return service.HTTP(listener, server)
}

// passStates has the process pass on as many states of as many bytes as
// HEIRLOOM_TEST_STATES says, such as 40x10. They fill the queue of a restart.
func passStates(service *lifecycle.Service) error {
	count, size := 0, 0
	_, _ = fmt.Sscanf(os.Getenv("HEIRLOOM_TEST_STATES"), "%dx%d", &count, &size)
	for i := range count {
		err := service.PassState(fmt.Sprint("state ", i), func() (lifecycle.PassedState, error) {
			return lifecycle.PassedState{Data: make([]byte, size)}, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// await waits until the RuntimeDirectory has no file of that name. While it does
// there is one with the suffix .held.
func await(name string) {
	path := filepath.Join(os.Getenv("RUNTIME_DIRECTORY"), name)
	for held := false; ; held = true {
		if _, err := os.Stat(path); err != nil {
			return
		}
		if !held {
			_ = os.WriteFile(path+".held", nil, 0o644)
		}
		time.Sleep(time.Millisecond)
	}
}

// handler answers like the one of examples/hello.
func handler(generation int) http.Handler {
	line := hello.Line(generation, version)
	mux := http.NewServeMux()
	mux.HandleFunc("/sleep", func(w http.ResponseWriter, r *http.Request) {
		d, _ := time.ParseDuration(r.URL.Query().Get("d"))
		time.Sleep(d)
		fmt.Fprintln(w, line)
	})
	mux.HandleFunc("/held", func(w http.ResponseWriter, _ *http.Request) {
		await("hold-request")
		fmt.Fprintln(w, line)
	})
	mux.HandleFunc("/never", func(http.ResponseWriter, *http.Request) { select {} })
	mux.HandleFunc("/half", func(w http.ResponseWriter, _ *http.Request) {
		half(w)
		select {}
	})
	mux.HandleFunc("/read", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, line)
	})
	mux.HandleFunc("/poison/kill", func(http.ResponseWriter, *http.Request) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	})
	mux.HandleFunc("/poison/panic", func(http.ResponseWriter, *http.Request) {
		go panic("poison")
		select {}
	})
	mux.HandleFunc("/poison/exit", func(http.ResponseWriter, *http.Request) { os.Exit(1) })
	mux.HandleFunc("/poison/fault", func(http.ResponseWriter, *http.Request) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		select {}
	})
	mux.HandleFunc("/poison/memory", func(http.ResponseWriter, *http.Request) {
		for all := [][]byte(nil); ; {
			all = append(all, bytes.Repeat([]byte{1}, 1<<20))
		}
	})
	mux.HandleFunc("/poison/half", func(w http.ResponseWriter, _ *http.Request) {
		half(w)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, line) })
	return mux
}

// half begins a response.
func half(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "100")
	fmt.Fprint(w, "half")
	_ = http.NewResponseController(w).Flush()
}
