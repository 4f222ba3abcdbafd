package goaway_test

import (
	"io"
	"net/http"
	"testing"
)

// BenchmarkRequest measures a small request with net/http alone and with Prepare.
func BenchmarkRequest(b *testing.B) { benchmark(b, 2) }

// BenchmarkDownload measures an answer of 1 MiB likewise.
func BenchmarkDownload(b *testing.B) { benchmark(b, 1<<20) }

func benchmark(b *testing.B, size int) {
	page := make([]byte, size)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) })
	for _, kind := range kinds {
		for _, prepared := range []bool{false, true} {
			name := kind.name + "/alone"
			if prepared {
				name = kind.name + "/prepared"
			}
			b.Run(name, func(b *testing.B) {
				s := newServer(kind.secure, handler)
				if prepared {
					s.prepare(b)
				}
				s.listen(b)
				fetch(b, transport(b, kind.secure), s.url("/"), size)
			})
		}
	}
}

func fetch(b *testing.B, tr *http.Transport, url string, size int) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		res, err := (&http.Client{Transport: tr}).Get(url)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, res.Body); n != int64(size) || err != nil {
			b.Fatal(n, err)
		}
		_ = res.Body.Close()
	}
}
