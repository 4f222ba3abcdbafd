// Package filetree writes the files that a test reads.
package filetree

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Write writes files, texts by path, below a temporary folder, which it
// returns. A text of "->TARGET" makes a symbolic link.
func Write(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		path = filepath.Join(root, path)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if target, link := strings.CutPrefix(text, "->"); link {
			err = errors.Join(err, os.Symlink(target, path))
		} else {
			err = errors.Join(err, os.WriteFile(path, []byte(text), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}
