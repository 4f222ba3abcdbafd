package packages_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

// made is the folder of programs and packages under test, made once.
var made string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "heirloom-packages-")
	if err == nil {
		defer os.RemoveAll(dir)
		made = dir
		err = build()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return leakcheck.Run(m.Run)
}

// build makes the programs that the packages bring: two versions of hello, the
// second also with another listener, one that no longer starts though its
// commands work, and one of which nothing works.
func build() error {
	if err := buildAdmin(); err != nil {
		return err
	}
	for _, version := range []string{"v1", "v2"} {
		err := command("../..", "go", "build", "-ldflags", "-s -w -X main.version="+version, "-o", filepath.Join(made, version), "./examples/hello")
		if err != nil {
			return err
		}
	}
	if err := command(".", "go", "build", "-o", filepath.Join(made, "nfpm"), "github.com/goreleaser/nfpm/v2/cmd/nfpm"); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"startless": "#!/bin/sh\n[ $# -eq 0 ] || exec " + good + " \"$@\"\nexit 3\n",
		"broken":    "#!/bin/sh\nexit 3\n",
		"default":   "# read by hello.service\n",
	} {
		if err := os.WriteFile(filepath.Join(made, name), []byte(text), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// buildAdmin makes v2-admin, which listens on the socket named admin too.
func buildAdmin() error {
	path, err := filepath.Abs("../../examples/hello/main.go")
	if err != nil {
		return err
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	const serve = "		return service.ListenAndServe("
	changed := strings.Replace(string(source), serve, `		admin, err := service.Listen("admin", "tcp", "127.0.0.1:8081")
		if err != nil {
			return err
		}
		if err := service.HTTP(admin, &http.Server{Handler: http.HandlerFunc(http.NotFound)}); err != nil {
			return err
		}
`+serve, 1)
	if changed == string(source) {
		return fmt.Errorf("%s has no %q", path, serve)
	}
	file, overlay := filepath.Join(made, "admin.go"), filepath.Join(made, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{path: file}})
	if err := errors.Join(err, os.WriteFile(file, []byte(changed), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return err
	}
	return command("../..", "go", "build", "-overlay", overlay, "-ldflags", "-s -w -X main.version=v2", "-o", filepath.Join(made, "v2-admin"),
		"./examples/hello")
}

func command(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // for the roots with another libc
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
