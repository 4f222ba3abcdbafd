package health

import (
	"io"
	"net/http"
)

// Probe answers a load balancer, or Kubernetes, what ask says: 200 if all is
// well, 503 if not, and text.
func Probe(ask func(r *http.Request) (well bool, text string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		well, text := ask(r)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if well {
			w.WriteHeader(http.StatusOK)
		} else {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, text+"\n") // a client that has gone is not waited for
	})
}
