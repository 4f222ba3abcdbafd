// Package hello has the handler of the daemons that tests replace.
package hello

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// Line is what a process answers: which it is, as that of examples/hello does.
func Line(generation int, version string) string {
	return fmt.Sprintf("hello from generation %d (pid %d, version %s)", generation, os.Getpid(), version)
}

// Handler answers each request as examples/hello does: a GET by the Line, after
// the time that its query says, if it does, and a request with a body by what
// was read of that. Package loadtest checks these answers.
func Handler(generation int, version string) http.Handler {
	line := Line(generation, version)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d, err := time.ParseDuration(r.URL.Query().Get("d")); err == nil {
			time.Sleep(d)
		}
		n, err := io.Copy(io.Discard, r.Body)
		switch {
		case err != nil: // the client has gone
		case r.Method == http.MethodGet:
			fmt.Fprintln(w, line)
		default:
			fmt.Fprintf(w, "%s read %d bytes\n", line, n)
		}
	})
}
