package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes a module of files, by path, and enters it.
func write(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("GOWORK", "off")
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCheck finds what is wrong on one system alone: in a package, in its
// tests, and in those of another package.
func TestCheck(t *testing.T) {
	const gomod = "module example.org/m\n\ngo 1.25\n"
	for name, test := range map[string]struct {
		files  map[string]string
		system string
		want   []string // nil if it compiles
	}{
		"all right": {system: "windows/amd64", files: map[string]string{
			"a.go":              "package a\n\nimport \"net/http\"\n\nvar A http.Handler\n",
			"a_test.go":         "package a\n\nvar inside = A\n",
			"b_test.go":         "package a_test\n\nimport (\n\t\"example.org/m\"\n\t\"example.org/m/c\"\n)\n\nvar _, _ = a.A, c.C\n",
			"export_test.go":    "package a\n\nvar Inside = inside\n",
			"c/c.go":            "package c\n\nimport \"example.org/m\"\n\nvar C = a.A\n",
			"wrong_linux.go":    "package a\n\nvar _ = nothing\n",
			"testdata/wrong.go": "package wrong\n\nvar _ = nothing\n",
		}},
		"a package": {system: "darwin/arm64", files: map[string]string{
			"a.go":       "package a\n\nfunc F() { g() }\n",
			"a_linux.go": "package a\n\nfunc g() {}\n",
		}, want: []string{"a.go:3:12: undefined: g"}},
		"a system call": {system: "windows/amd64", files: map[string]string{
			"a.go": "package a\n\nimport \"syscall\"\n\nvar A = syscall.Fork\nvar B = syscall.SIGUSR1\n",
		}, want: []string{"undefined: syscall.Fork", "undefined: syscall.SIGUSR1"}},
		"a test": {system: "linux/arm", files: map[string]string{
			"a.go":      "package a\n",
			"a_test.go": "package a\n\nvar _ int = 1 << 40\n",
		}, want: []string{"a_test.go:3:13", "overflows"}},
		"a test from outside": {system: "freebsd/amd64", files: map[string]string{
			"a.go":              "package a\n",
			"export_test.go":    "package a\n\nvar Both = 1\n",
			"b_windows_test.go": "package a\n\nvar Windows = 1\n",
			"b_test.go":         "package a_test\n\nimport \"example.org/m\"\n\nvar _, _ = a.Both, a.Windows\n",
		}, want: []string{"undefined: a.Windows"}},
		"a package that is not there": {system: "linux/arm64", files: map[string]string{
			"a.go": "package a\n\nimport _ \"example.org/m/none\"\n",
		}, want: []string{"example.org/m/none"}},
		"not all of Go": {system: "linux/arm64", files: map[string]string{"a.go": "package a\n\nfunc {\n"}, want: []string{"a.go:3:6"}},
		"no system":     {system: "linux", files: map[string]string{"a.go": "package a\n"}, want: []string{"go tool dist list"}},
		"no GOARCH":     {system: "linux/abacus", files: map[string]string{"a.go": "package a\n"}, want: []string{"go tool dist list"}},
		"no GOOS":       {system: "abacus/amd64", files: map[string]string{"a.go": "package a\n"}, want: []string{"go tool dist list"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.files["go.mod"] = gomod
			write(t, test.files)
			count, err := check(test.system)
			if test.want == nil && (err != nil || count == 0) {
				t.Errorf("%d packages, %v", count, err)
			}
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
			}
		})
	}
}
