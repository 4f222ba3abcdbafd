package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

// TestMain runs the tests in the folder of the pages, from where their links
// lead.
func TestMain(m *testing.M) {
	if err := os.Chdir(filepath.Join("..", "..", "docs")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	leakcheck.Main(m)
}
