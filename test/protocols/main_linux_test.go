package protocols_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
)

// daemon, tlsd and fasthttpProgram are the paths of the programs under test,
// certificate and key what they serve TLS with, in PEM. All tests share them.
var (
	daemon, tlsd     string
	fasthttpProgram  string
	certificate, key = selfsigned.PEM(selfsigned.New())
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "heirloom-protocols-")
	if err == nil {
		defer os.RemoveAll(dir)
		daemon, tlsd, fasthttpProgram = filepath.Join(dir, "daemon"), filepath.Join(dir, "tlsd"), filepath.Join(dir, "fasthttpd")
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return leakcheck.Run(m.Run)
}

func build(dir string) error {
	cmd := exec.Command("go", "build", "-o", dir, "./daemon", "./tlsd", "./fasthttpd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // for the roots with another libc
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the daemons: %w\n%s", err, out)
	}
	return nil
}
