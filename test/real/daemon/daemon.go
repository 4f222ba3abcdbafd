// Package daemon is what the daemons of this module have in common: what they
// answer, as internal/rig/loadtest expects it, and a configuration that may be
// bad.
package daemon

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Address is where the daemons listen.
const Address = "127.0.0.1:8080"

// Config is the path of the configuration: why it is bad, if it is.
const Config = "/etc/real.conf"

// ReadConfig reads the configuration.
func ReadConfig() error {
	if text, err := os.ReadFile(Config); err == nil {
		return errors.New(strings.TrimSpace(string(text)))
	}
	return nil
}

// Line is the answer of a generation, less the end of the line.
func Line(generation int) string {
	return fmt.Sprintf("hello from generation %d (pid %d, version real)", generation, os.Getpid())
}

// Handler answers on behalf of a generation.
func Handler(generation int) http.Handler {
	line := Line(generation)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sleep", func(w http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.FormValue("d"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		time.Sleep(d) // of a third party that knows of no context
		fmt.Fprintln(w, line)
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, line) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return // the client has gone
		}
		fmt.Fprintf(w, "%s read %d bytes\n", line, n)
	})
	return mux
}

var asleep atomic.Int64

// Answer answers a question that does not come by HTTP: "hello", "sleep" and
// for how long, such as sleep3s, or "asleep", which is how many sleep.
func Answer(generation int, question string) string {
	if question == "asleep" {
		return strconv.FormatInt(asleep.Load(), 10)
	}
	if text, ok := strings.CutPrefix(question, "sleep"); ok {
		d, err := time.ParseDuration(text)
		if err != nil {
			return err.Error()
		}
		asleep.Add(1)
		defer asleep.Add(-1)
		time.Sleep(d)
	}
	return Line(generation)
}
