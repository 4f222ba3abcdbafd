package packages_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/packaging"
)

// release is a version of the package.
type release struct {
	version string
	binary  string // v1, v2, v2-admin, startless or broken
	change  func(*packaging.Package)
	edit    func(*packaging.File) // of what was rendered
}

// service is the one of all releases, before their changes.
func service() units.Service {
	return units.Service{
		Name:             "hello",
		Program:          "/usr/bin/hello",
		Sockets:          []units.Socket{{Name: "http", Addresses: []string{"127.0.0.1:8080"}}},
		StopTimeout:      20 * time.Second,
		CacheDirectory:   []string{"hello"},
		StateDirectory:   []string{"hello"},
		EnvironmentFiles: []string{"-/etc/default/hello"},
	}
}

// packed holds what pack has made: tests in several places want the same.
var packed = struct {
	sync.Mutex
	of map[string]func() error
}{of: map[string]func() error{}}

// pack returns the path of a package. Each version is another release within a
// test.
func pack(t *testing.T, format string, r release) string {
	t.Helper()
	test, _, _ := strings.Cut(t.Name(), "/")
	dir := filepath.Join(made, test+"-"+r.version+"-"+format)
	path := filepath.Join(dir, "hello."+format)
	packed.Lock()
	if packed.of[path] == nil {
		packed.of[path] = sync.OnceValue(func() error { return r.pack(dir, path, format) })
	}
	once := packed.of[path]
	packed.Unlock()
	if err := once(); err != nil {
		t.Fatal(err)
	}
	return path
}

func (r release) pack(dir, path, format string) error {
	p := packaging.Package{
		Service: service(), Version: r.version, Arch: "amd64", Maintainer: "Jane Doe <jane@example.org>",
		Summary: "greets", Description: "Greets everybody.", Binary: filepath.Join(made, r.binary),
		Contents: []packaging.Content{
			{Source: filepath.Join(made, "default"), Destination: "/etc/default/hello", Mode: 0o644},
		},
	}
	if r.change != nil {
		r.change(&p)
	}
	systemd := 252
	if p.Service.NotifyReload {
		systemd = 253
	}
	files, err := p.Render(systemd)
	if err != nil {
		return err
	}
	for _, f := range files {
		if r.edit != nil {
			r.edit(&f)
		}
		if err := write(dir, f); err != nil {
			return err
		}
	}
	return command(dir, filepath.Join(made, "nfpm"), "package", "-f", "nfpm.yaml", "-p", format, "-t", path)
}

// write writes a file. Nothing is gained here by a smaller package.
func write(dir string, f packaging.File) error {
	path := filepath.Join(dir, f.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	text := f.Text
	if f.Name == "nfpm.yaml" {
		text = strings.Replace(text, "\nrpm:\n", "\ndeb: {compression: none}\nrpm:\n  compression: gzip:1\n", 1)
	}
	return os.WriteFile(path, []byte(text), f.Mode)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
