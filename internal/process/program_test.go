package process_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/heirloom-go/heirloom/internal/process"
)

func TestProgram(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if path, err := process.Program("daemon"); err != nil || path != filepath.Join(dir, "daemon") {
		t.Errorf("one that is given: %s, %v", path, err)
	}
	if path, err := process.Program(""); err != nil || filepath.Base(path) != filepath.Base(os.Args[0]) || !filepath.IsAbs(path) {
		t.Errorf("the one that runs: %s, %v", path, err)
	}
}
