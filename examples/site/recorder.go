package main

import (
	"net/http"
	"strconv"
)

// A recorder remembers what was answered. What else the ResponseWriter can do
// is found by http.ResponseController.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *recorder) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *recorder) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *recorder) Write(p []byte) (int, error) {
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

func code(status int) string { return strconv.Itoa(status) }
