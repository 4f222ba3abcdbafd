package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folder makes one with these files, by name.
func folder(t *testing.T, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFiles(t *testing.T) {
	dir := folder(t, map[string]string{"index.html": "<p>one", "sub/index.html": "<p>two", "a.css": "p {}", ".git/x": "no", ".env": "no"})
	all, err := readFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(all)
	defer server.Close()
	for _, tt := range []struct {
		path   string
		status int
		body   string
		kind   string
	}{
		{"/", 200, "<p>one", "text/html; charset=utf-8"},
		{"/a.css", 200, "p {}", "text/css; charset=utf-8"},
		{"/sub/", 200, "<p>two", "text/html; charset=utf-8"},
		{"/sub", 301, "", ""},
		{"/index.html", 404, "", ""},
		{"/.env", 404, "", ""},
		{"/.git/x", 404, "", ""},
		{"/../files.go", 404, "", ""},
	} {
		response, body := get(t, server.URL+tt.path)
		if response.StatusCode != tt.status || tt.status == 200 && (body != tt.body || response.Header.Get("Content-Type") != tt.kind) {
			t.Errorf("%s: %d, %q of %s", tt.path, response.StatusCode, body, response.Header.Get("Content-Type"))
		}
	}
	response, _ := get(t, server.URL+"/")
	etag := response.Header.Get("ETag")
	if again, body := get(t, server.URL+"/", "If-None-Match", etag); again.StatusCode != http.StatusNotModified || body != "" || etag == "" {
		t.Errorf("with %s: %d, %q", etag, again.StatusCode, body)
	}
	if part, body := get(t, server.URL+"/", "Range", "bytes=3-"); part.StatusCode != http.StatusPartialContent || body != "one" {
		t.Errorf("a part: %d, %q", part.StatusCode, body)
	}
}

// get follows no redirects.
func get(t *testing.T, url string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body strings.Builder
	if err := response.Write(&body); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(body.String(), "\r\n\r\n")
	return response, text
}

func TestBadFiles(t *testing.T) {
	outside := folder(t, map[string]string{"index.html": "x", "secret": "x"})
	link := folder(t, map[string]string{"index.html": "x"})
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(link, "link")); err != nil {
		t.Skip(err)
	}
	large := folder(t, map[string]string{"index.html": "x"})
	if err := os.Truncate(filepath.Join(large, "index.html"), maxFiles+1); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, dir, want string }{
		{"missing", filepath.Join(outside, "missing"), "missing"},
		{"a file", filepath.Join(outside, "secret"), "secret"},
		{"no index", folder(t, map[string]string{"a.html": "x"}), "there is no index.html"},
		{"a way out", link, "link"},
		{"too large", large, "index.html: it is not a file, or the files have more than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if all, err := readFiles(tt.dir); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("it is %v, %v", all, err)
			}
		})
	}
}
