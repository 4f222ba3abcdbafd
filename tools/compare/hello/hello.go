// Package hello is what the programs that heirloom is compared with serve: the
// answers of examples/hello.
package hello

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Handler answers with a line that tells which process it came from. Processes
// count their generations in a file of /run, or of the RuntimeDirectory if there
// is one, for none of the libraries does.
func Handler(version string) (http.Handler, error) {
	generation, err := count(filepath.Join(cmp.Or(os.Getenv("RUNTIME_DIRECTORY"), "/run"), filepath.Base(os.Args[0])+".generation"))
	if err != nil {
		return nil, err
	}
	hello := fmt.Sprintf("hello from generation %d (pid %d, version %s)", generation, os.Getpid(), version)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sleep", func(w http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.FormValue("d"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case <-time.After(d):
			fmt.Fprintln(w, hello)
		case <-r.Context().Done(): // the client has gone
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, hello) })
	return mux, nil
}

// count adds one to the number in a file. The next process starts only when
// this one serves.
func count(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return 0, err
	}
	n, err := 0, error(nil)
	if len(text) > 0 {
		n, err = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n + 1, os.WriteFile(path, fmt.Appendln(nil, n+1), 0o644)
}

// WritePID tells systemd which process to take for the main one when the old
// one ends: PIDFile= in systemd.service(5).
func WritePID(path string) error {
	return os.WriteFile(path, fmt.Appendln(nil, os.Getpid()), 0o644)
}
