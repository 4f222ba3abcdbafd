package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// redirects sends clients on. It says Found rather than Moved Permanently,
// which browsers would remember over a reload.
func redirects(links map[string]string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range slices.Sorted(maps.Keys(links)) {
			fmt.Fprintln(w, name, links[name])
		}
	})
	mux.HandleFunc("GET /{name}", func(w http.ResponseWriter, r *http.Request) {
		address, found := links[r.PathValue("name")]
		if !found {
			http.NotFound(w, r)
			return
		}
		http.Redirect(w, r, address, http.StatusFound)
	})
	return mux
}

// probes are for the container's operator, on a port that is not public.
func probes(service *lifecycle.Service) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", service.Liveness())
	mux.Handle("GET /readyz", service.Readiness())
	return mux
}
