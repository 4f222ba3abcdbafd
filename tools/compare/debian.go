package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/tools/demo/show"
)

// libraryDir is where the libraries of Debian's programs are inside, besides
// those that are there already.
const libraryDir = "/usr/lib/peers"

// isDebian reports whether the program is Debian's.
func (c contender) isDebian() bool { return len(c.packages) > 0 }

// fetch has the packages of contenders downloaded and unpacked beside what is
// built. Nothing is installed on this host. It returns those contenders that
// can be had.
func (w *workshop) fetch(ctx context.Context, all []contender, out *show.Screen) ([]contender, error) {
	var names []string
	for _, c := range all {
		names = append(names, c.packages...)
	}
	if len(names) == 0 {
		return all, nil
	}
	out.Say("downloading %s", strings.Join(names, ", "))
	dir := filepath.Join(w.dir, "packages")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	download := append([]string{"-o", "APT::Sandbox::User=root", "download"}, names...)
	err := w.command(ctx, dir, "apt-get", download...)
	if err != nil && ctx.Err() == nil { // the lists of packages may be missing, or too old
		if err = w.command(ctx, dir, "apt-get", "update"); err == nil {
			err = w.command(ctx, dir, "apt-get", download...)
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		out.Say("without those of Debian: %v", err)
		return slices.DeleteFunc(slices.Clone(all), contender.isDebian), nil
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	for _, deb := range debs {
		err = errors.Join(err, w.command(ctx, dir, "dpkg-deb", "-x", deb, w.debian()))
	}
	return all, err
}

// debian is where packages are unpacked.
func (w *workshop) debian() string { return filepath.Join(w.dir, "debian") }

// installLibraries installs what Debian's programs need.
func (w *workshop) installLibraries(m *sdtest.Machine) error {
	links, err := filepath.Glob(filepath.Join(w.debian(), "usr/lib/*-linux-gnu*/*.so.*"))
	if err != nil {
		return err
	}
	more, err := filepath.Glob(filepath.Join(w.debian(), "lib/*-linux-gnu*/*.so.*"))
	if err != nil {
		return err
	}
	for _, link := range append(links, more...) {
		file, err := filepath.EvalSymlinks(link)
		if err != nil {
			return fmt.Errorf("library of a package: %w", err)
		}
		m.Install(file, path.Join(libraryDir, path.Base(link)))
	}
	return nil
}
