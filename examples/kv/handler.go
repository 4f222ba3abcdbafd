package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"unicode/utf8"

	"go.etcd.io/bbolt"
)

const (
	maxValue = 1 << 20
	maxList  = 1000 // keys in an answer
)

// handler has the store's interface:
//
//	PUT    /keys/KEY                           201 if the key is new, 204 if it was there
//	GET    /keys/KEY                           200 and the value, or 404
//	DELETE /keys/KEY                           204, or 404
//	GET    /keys?prefix=KEY&after=KEY&limit=N  200 and a JSON array of keys
//
// What was answered with 201 or 204 is on the disk.
func handler(s *store) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /keys/{key}", s.servePut)
	mux.HandleFunc("GET /keys/{key}", s.serveGet)
	mux.HandleFunc("DELETE /keys/{key}", s.serveDelete)
	mux.HandleFunc("GET /keys", s.serveList)
	return mux
}

func (s *store) servePut(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	if len(key) > bbolt.MaxKeySize || !utf8.ValidString(key) {
		http.Error(w, "a key is UTF-8 and not longer than "+strconv.Itoa(bbolt.MaxKeySize)+" bytes", http.StatusBadRequest)
		return
	}
	value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxValue))
	if err != nil {
		fail(w, err)
		return
	}
	created, err := s.put(r.Context(), key, value)
	switch {
	case err != nil:
		fail(w, err)
	case created:
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *store) serveGet(w http.ResponseWriter, r *http.Request) {
	value, err := s.get(r.Context(), r.PathValue("key"))
	s.relinquish(r) // however long the client takes to read it
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(value) // the client may have gone
}

func (s *store) serveDelete(w http.ResponseWriter, r *http.Request) {
	if err := s.remove(r.Context(), r.PathValue("key")); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *store) serveList(w http.ResponseWriter, r *http.Request) {
	limit := maxList
	if text := r.FormValue("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			http.Error(w, "limit is not a number of keys", http.StatusBadRequest)
			return
		}
		limit = min(n, maxList)
	}
	keys, err := s.list(r.Context(), r.FormValue("prefix"), r.FormValue("after"), limit)
	s.relinquish(r)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(append([]string{}, keys...)) // an array also if there is none; the client may have gone
}

// fail answers what could not be done.
func fail(w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError
	status := http.StatusServiceUnavailable
	switch {
	case errors.Is(err, errNotFound):
		status = http.StatusNotFound
	case errors.As(err, &tooLarge):
		status = http.StatusRequestEntityTooLarge
	}
	http.Error(w, err.Error(), status)
}
