// Package packaging makes all files of a Debian or RPM package except the
// program, from the description of a service: its units, the maintainer
// scripts, and a configuration for nfpm, which builds the package.
//
//	p := packaging.Package{
//		Service: hello, Version: "1.2.0", Arch: "amd64", Binary: "/build/hello",
//		Maintainer: "Jane Doe <jane@example.org>", Summary: "greets whoever asks",
//	}
//	files, err := p.Render(252)
//
// Write the files to a folder and run nfpm there, since it looks for them from
// its working directory:
//
//	cd FOLDER && nfpm package -f nfpm.yaml -p deb -t .
//	cd FOLDER && nfpm package -f nfpm.yaml -p rpm -t .
//
// # Upgrades
//
// With these scripts a busy service runs the new version without a broken
// request, or the old version goes on:
//
//   - systemd reads the new units before anything else is done.
//   - The scripts do not touch a socket that listens, nor the clients in its
//     queue.
//   - The scripts reload a running service. If the new version does not become
//     ready, the old one serves on, the package is installed nevertheless, and
//     a message says what to do.
//   - If the unit has changed in a setting that only a new start applies, see
//     [units.Hash], a restart would end a good process for an untested program.
//     So the scripts first try the new program by a reload, under the settings
//     of the old one, and restart the service only if that succeeds. If the
//     program needs the new settings to start at all, they do not restart it: a
//     message says so, and the administrator restarts it. During a restart new
//     clients wait until the requests under way are answered.
//   - If a process was started from a unit without a hash, the scripts restart
//     the service if the new unit has one.
//   - A unit that the administrator stopped, disabled or masked stays so. A
//     failed one is started again if it is enabled. On Debian policy-rc.d(8)
//     can forbid all of this.
//   - A new socket takes a restart of the service, which opens it. A socket
//     that the new version no longer has is closed.
//   - If the addresses of a socket have changed the scripts reload the service,
//     which keeps the old ones open, and never restart it: systemd has lost the
//     old addresses, and would not open the new ones. A message says what to
//     do. Until then a crash would be an outage.
//
// With [units.Service.NotifyReload] systemd does not know whether a reload
// succeeded, so the scripts look at the process. They treat all running
// instances of a template in this way, one after the other.
//
// # The rest of the life of a package
//
// A Debian package enables and starts the service when it is first installed,
// or again after a removal; an RPM package enables the units that the presets
// of the distribution name and starts nothing, as is usual there. Instances of
// a template are neither enabled nor started. A removal stops all units and
// leaves none. A purge, which RPM does not have, removes the links of enabled
// units, and the state, cache and logs directories of the service with their
// contents. It keeps the user, since its number must never be given to another
// user.
//
// The units of users ([units.User]) are enabled for all users. The scripts
// start and reload nothing there: root should not act in the service managers
// of users, and users who are not logged in have none.
//
// On Debian a file tells needrestart(1) not to restart the service for an old
// program, which may still be draining.
package packaging

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"strings"

	"github.com/heirloom-go/heirloom/units"
)

// Package describes a package with one service. The fields that have no default
// must be set.
type Package struct {
	Service units.Service

	// Name is the package's name. The default is the name of the service,
	// without the @ of a template.
	Name string

	// Version starts with a digit and has letters, digits and .+~ only: a
	// tilde sorts before all, as in 1.0~rc1. Release counts packages of the
	// same version. The default is 1.
	Version, Release string

	// Arch is the architecture as Go and Debian call it, such as amd64 and
	// arm64; nfpm knows the names that RPM has for those.
	Arch string

	// Maintainer is a name and address: "Jane Doe <jane@example.org>".
	Maintainer string

	// Summary is a line, Description any number of them. The default of
	// Description is none.
	Summary, Description string

	// License is as SPDX calls it, Homepage a URL, Section one of Debian's.
	// The defaults are none, none, and net.
	License, Homepage, Section string

	// Binary is the path of the program on the machine where the package is
	// built. It becomes Service.Program. A relative one, here and in
	// Contents, is relative to the folder of nfpm.yaml.
	Binary string

	// Contents are further files.
	Contents []Content

	// Depends are other packages, and those of one format only.
	Depends, DebDepends, RPMDepends []string
}

// Content is a file in a package.
type Content struct {
	Source      string // on the machine where the package is built
	Destination string // absolute

	// Config says that the administrator may change the file: an upgrade
	// then keeps it. All files below /etc are treated in this way.
	Config bool

	// Mode is the source's mode by default.
	Mode fs.FileMode
}

// File is a file to write to a folder, for nfpm.
type File struct {
	Name string // relative to the folder, with slashes
	Text string
	Mode fs.FileMode
}

// Render returns the files, with units for the given version of systemd and
// newer ones: nfpm.yaml first, then the files it names: the scripts in deb and
// rpm, and the package's contents in files. The same description always gives
// the same files.
//
// An error matches [units.ErrInvalid], and joins an [*units.Error] for each
// error in the description.
func (p Package) Render(systemd int) ([]File, error) {
	rendered, err := p.Service.Render(systemd)
	if err = errors.Join(err, p.validate()); err != nil {
		return nil, err
	}
	p = p.withDefaults()
	var installed []File
	for _, f := range rendered {
		installed = append(installed, File{Name: "files" + f.Path, Text: f.Text, Mode: f.Mode})
	}
	s, err := p.script(rendered)
	if err != nil {
		return nil, err
	}
	if !s.User { // whose services needrestart leaves alone
		installed = append(installed, s.render("files"+needrestart(p.Name), "needrestart.conf.tmpl", 0o644))
	}
	config := File{Name: "nfpm.yaml", Text: p.nfpm(rendered), Mode: 0o644}
	return append(append([]File{config}, s.renderAll()...), installed...), nil
}

func (p Package) withDefaults() Package {
	p.Name = cmp.Or(p.Name, p.base())
	p.Release = cmp.Or(p.Release, "1")
	p.Section = cmp.Or(p.Section, "net")
	return p
}

// base is the name of the service without the @ of a template.
func (p Package) base() string { return strings.TrimSuffix(p.Service.Name, "@") }

func needrestart(name string) string { return "/etc/needrestart/conf.d/" + name + ".conf" }

// render executes one of the templates, which do not fail.
func (s *script) render(name, template string, mode fs.FileMode) File {
	var text bytes.Buffer
	_ = templates.ExecuteTemplate(&text, template, s)
	return File{Name: name, Text: text.String(), Mode: mode}
}
