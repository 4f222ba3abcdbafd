package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/tools/demo/show"
	"github.com/heirloom-go/heirloom/units/packaging"
)

// A workshop makes programs and packages.
type workshop struct {
	root string // of the checkout
	dir  string // for what is made
	own  string // the program to take for heirloom's; empty for the example
	nfpm string // empty if no packages are needed
}

func newWorkshop(dir string, o options) (*workshop, error) {
	root, err := findRoot()
	if err != nil {
		return nil, err
	}
	w := &workshop{root: root, dir: dir}
	if o.program != "" {
		if w.own, err = filepath.Abs(o.program); err != nil {
			return nil, err
		}
		if _, err := os.Stat(w.own); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// findRoot finds the checkout that the working directory is in.
func findRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "tools", "compare", "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is in no checkout of heirloom", start)
		}
	}
}

// versions are those of each program: packages bring the one and the other in
// turn.
var versions = []string{"v1", "v2"}

func versionOf(release int) string { return versions[(release+1)%len(versions)] }

// build makes all that is needed before a machine is.
func (w *workshop) build(ctx context.Context, o options, out *show.Screen) error {
	secure := slices.ContainsFunc(o.rows, row.isSecure)
	upgrades := slices.ContainsFunc(o.rows, func(r row) bool { return r.verb.key == upgrade })
	for _, c := range o.contenders {
		if c.isDebian() {
			continue
		}
		out.Say("building %s", c)
		if secure {
			if err := w.buildSecured(ctx, c); err != nil {
				return fmt.Errorf("%s: %w", c, err)
			}
		}
		for _, version := range versions {
			if err := w.buildProgram(ctx, c, version); err != nil {
				return fmt.Errorf("%s: %w", c, err)
			}
			if !upgrades {
				break
			}
		}
	}
	if !upgrades {
		return nil
	}
	out.Say("building nfpm, and packages with it")
	w.nfpm = filepath.Join(w.dir, "nfpm")
	if err := w.goBuild(ctx, "test/packages", w.nfpm, "github.com/goreleaser/nfpm/v2/cmd/nfpm"); err != nil {
		return err
	}
	for _, c := range o.contenders {
		if c.isDebian() {
			continue
		}
		for release := range o.rounds + 1 {
			if err := w.pack(ctx, c, release+1); err != nil {
				return fmt.Errorf("package of %s: %w", c, err)
			}
		}
	}
	return nil
}

// program is the path of a contender's program.
func (w *workshop) program(c contender, version string) string {
	if c.isDebian() {
		return filepath.Join(w.debian(), c.source)
	}
	return filepath.Join(w.dir, c.unit+"-"+version)
}

func (w *workshop) buildProgram(ctx context.Context, c contender, version string) error {
	path := w.program(c, version)
	if c.name == heirloom && w.own != "" {
		return os.Symlink(w.own, path)
	}
	return w.goBuild(ctx, c.module, path, "-ldflags", "-s -w -X main.version="+version, c.source)
}

func (w *workshop) goBuild(ctx context.Context, module, path string, args ...string) error {
	// Programs run on machines with another libc.
	return w.command(ctx, filepath.Join(w.root, module), "go", append([]string{"build", "-o", path}, args...)...)
}

func (w *workshop) command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go waits for its compilers then
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, text)
	}
	return nil
}

// deb is the path of a contender's package.
func (w *workshop) deb(c contender, release int) string {
	return filepath.Join(w.dir, fmt.Sprintf("%s-%d.deb", c.unit, release))
}

// pack makes a package. heirloom's is what package packaging makes of the
// example.
func (w *workshop) pack(ctx context.Context, c contender, release int) error {
	render := w.renderPeer
	if c.name == heirloom {
		render = w.renderHeirloom
	}
	files, err := render(c, release)
	if err != nil {
		return err
	}
	dir := filepath.Join(w.dir, fmt.Sprintf("%s-%d", c.unit, release))
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		text := f.Text
		if f.Name == "nfpm.yaml" {
			text += "\ndeb: {compression: none}\n" // nothing is gained by a smaller one
		}
		if err := os.WriteFile(path, []byte(text), f.Mode); err != nil {
			return err
		}
	}
	err = w.command(ctx, dir, w.nfpm, "package", "-f", "nfpm.yaml", "-p", "deb", "-t", w.deb(c, release))
	return errors.Join(err, os.RemoveAll(dir))
}

func (w *workshop) renderHeirloom(c contender, release int) ([]packaging.File, error) {
	spec := specOf(w.root)
	text, err := os.ReadFile(spec)
	if err != nil {
		return nil, err
	}
	p, err := packaging.ParseSpec(spec, string(text))
	if err != nil {
		return nil, err
	}
	p.Version, p.Arch, p.Binary = fmt.Sprint(release), runtime.GOARCH, w.program(c, versionOf(release))
	return p.Render(252)
}

// renderPeer makes what an ordinary Debian package is made of. Its script is
// what dh_installsystemd generates for the service, but for the verb: a service
// that can be reloaded is. The socket is left alone, too.
func (w *workshop) renderPeer(c contender, release int) ([]packaging.File, error) {
	installed, err := c.files(w.root)
	if err != nil {
		return nil, err
	}
	contents := fmt.Sprintf("  - {src: %q, dst: %q, file_info: {mode: 0755}}\n", w.program(c, versionOf(release)), c.program())
	var files []packaging.File
	for _, f := range installed {
		contents += fmt.Sprintf("  - {src: %q, dst: %q, file_info: {mode: 0644}}\n", f.Name(), f.Path)
		files = append(files, packaging.File{Name: f.Name(), Text: f.Text, Mode: 0o644})
	}
	config := fmt.Sprintf("name: %s\narch: %s\nversion: %d\nmaintainer: Jane Doe <jane@example.org>\ndescription: says hello\nscripts: {postinstall: postinst}\ncontents:\n%s",
		c.unit, runtime.GOARCH, release, contents)
	action := "deb-systemd-invoke restart"
	if c.reload == "reload" {
		action = "systemctl reload"
	}
	script := fmt.Sprintf(`#!/bin/sh
set -e
if [ "$1" = configure ]; then
	for unit in %[1]s; do
		deb-systemd-helper unmask $unit >/dev/null || true
		if deb-systemd-helper --quiet was-enabled $unit; then
			deb-systemd-helper enable $unit >/dev/null || true
		else
			deb-systemd-helper update-state $unit >/dev/null || true
		fi
	done
	systemctl --system daemon-reload >/dev/null || true
	if [ -n "$2" ]; then
		%[2]s %[3]s >/dev/null || true
	else
		deb-systemd-invoke start %[1]s >/dev/null || true
	fi
fi
`, strings.Join(c.units(), " "), action, c.service())
	return append(files, packaging.File{Name: "nfpm.yaml", Text: config, Mode: 0o644}, packaging.File{Name: "postinst", Text: script, Mode: 0o755}), nil
}
