package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// TestAccessLog has two generations write into one file, whose lines stay
// whole.
func TestAccessLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	const lines = 3000
	line := strings.Repeat("x", 100) + "\n"
	done := make(chan error)
	for range 2 {
		l, err := openAccessLog(path, hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for range lines {
				_, _ = l.Write([]byte(line))
			}
			done <- l.close(t.Context())
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), line) != 2*lines || len(text) != 2*lines*len(line) {
		t.Errorf("%d bytes, %d whole lines, %v", len(text), strings.Count(string(text), line), err)
	}
}
