package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// TestHandler asks one after the other.
func TestHandler(t *testing.T) {
	s := &store{path: filepath.Join(t.TempDir(), "kv.db"), relinquish: func(*http.Request) {}, opened: make(chan struct{})}
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	server := httptest.NewServer(handler(s))
	defer server.Close()
	tests := []struct {
		method, path, body string
		status             int
		answer             string
	}{
		{"GET", "/keys", "", 200, "[]\n"},
		{"GET", "/keys/a", "", 404, "no such key\n"},
		{"DELETE", "/keys/a", "", 404, "no such key\n"},
		{"PUT", "/keys/a", "one", 201, ""},
		{"PUT", "/keys/a", "two", 204, ""},
		{"GET", "/keys/a", "", 200, "two"},
		{"PUT", "/keys/empty", "", 201, ""},
		{"GET", "/keys/empty", "", 200, ""},
		{"PUT", "/keys/b%2F%20c", "three", 201, ""},
		{"GET", "/keys/b%2F%20c", "", 200, "three"},
		{"PUT", "/keys/b%2Fd", "", 201, ""},
		{"GET", "/keys", "", 200, `["a","b/ c","b/d","empty"]` + "\n"},
		{"GET", "/keys?prefix=b/", "", 200, `["b/ c","b/d"]` + "\n"},
		{"GET", "/keys?prefix=b/&after=b/%20c", "", 200, `["b/d"]` + "\n"},
		{"GET", "/keys?prefix=b/&after=c", "", 200, "[]\n"},
		{"GET", "/keys?after=a&limit=2", "", 200, `["b/ c","b/d"]` + "\n"},
		{"GET", "/keys?limit=0", "", 400, "limit is not a number of keys\n"},
		{"DELETE", "/keys/a", "", 204, ""},
		{"GET", "/keys/a", "", 404, "no such key\n"},
		{"PUT", "/keys/large", strings.Repeat("x", maxValue), 201, ""},
		{"PUT", "/keys/large", strings.Repeat("x", maxValue+1), 413, "http: request body too large\n"},
		{"PUT", "/keys/" + strings.Repeat("k", bbolt.MaxKeySize+1), "", 400, "a key is UTF-8 and not longer than 32768 bytes\n"},
		{"PUT", "/keys/%FF", "", 400, "a key is UTF-8 and not longer than 32768 bytes\n"},
		{"POST", "/keys/a", "", 405, "Method Not Allowed\n"},
	}
	for _, tt := range tests {
		request, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != tt.status || string(answer) != tt.answer {
			t.Errorf("%s %.40s is answered with %d %q, %v, want %d %q", tt.method, tt.path, response.StatusCode, answer, err, tt.status, tt.answer)
		}
	}
}
