package fleet_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

// made is the folder of the packages, made once.
var made string

func TestMain(m *testing.M) {
	code := leakcheck.Run(m.Run)
	if made != "" {
		_ = os.RemoveAll(made)
	}
	os.Exit(code)
}

// versions are those of the packages: 3 does not start, and of 5 nothing works
// at all.
var versions = []string{"1", "2", "3", "4", "5"}

// packed returns the package of hello in one of the versions.
func packed(t *testing.T, version string) string {
	t.Helper()
	if made == "" {
		dir, err := os.MkdirTemp("", "heirloom-fleet-")
		if err != nil {
			t.Fatal(err)
		}
		made = dir
		for _, version := range versions {
			pack(t, version)
		}
	}
	return filepath.Join(made, "hello_"+version+"-1_"+runtime.GOARCH+".deb")
}

// pack does what `make packages` does.
func pack(t *testing.T, version string) {
	t.Helper()
	nfpm, heirloomUnits := filepath.Join(made, "nfpm"), filepath.Join(made, "heirloom-units")
	if version == "1" {
		command(t, "go", "build", "-C", "../../test/packages", "-o", nfpm, "github.com/goreleaser/nfpm/v2/cmd/nfpm")
		command(t, "go", "build", "-o", heirloomUnits, "../../units/cmd/heirloom-units")
	}
	hello := filepath.Join(made, "hello")
	build := []string{"build", "-trimpath", "-ldflags", "-s -w -X main.version=" + version, "-o", hello}
	if version == "3" {
		build = append(build, "-overlay", broken(t))
	}
	command(t, "go", append(build, "../hello")...)
	if version == "5" {
		if err := os.WriteFile(hello, []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command(t, heirloomUnits, "package", "-spec", "../hello/hello.heirloom", "-version", version,
		"-arch", runtime.GOARCH, "-binary", hello, "-out", made, "-format", "deb", "-nfpm", nfpm)
}

// broken has hello be built with a mistake that shows at its start only, as
// most do.
func broken(t *testing.T) string {
	t.Helper()
	handler, err := filepath.Abs("../hello/handler.go")
	if err != nil {
		t.Fatal(err)
	}
	mistake, overlay := filepath.Join(made, "handler.go"), filepath.Join(made, "overlay.json")
	text, err := json.Marshal(map[string]map[string]string{"Replace": {handler: mistake}})
	if err != nil {
		t.Fatal(err)
	}
	program := "package main\n\nimport \"net/http\"\n\nfunc handler(int) http.Handler { panic(\"no such file: colours.json\") }\n"
	if err := os.WriteFile(mistake, []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return overlay
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("%s: %w\n%s", cmd, err, out))
	}
}
