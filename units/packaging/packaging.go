// Package packaging makes, from the description of a service, all that goes into a Debian or RPM package of it besides the
// program: its units, the maintainer scripts, and a configuration for nfpm, which puts the package together.
//
//	p := packaging.Package{
//		Service: hello, Version: "1.2.0", Arch: "amd64", Binary: "/build/hello",
//		Maintainer: "Jane Doe <jane@example.org>", Summary: "greets whoever asks",
//	}
//	files, err := p.Render(252)
//
// Written to a folder, the files are used from there, since nfpm looks for them from where it runs:
//
//	cd FOLDER && nfpm package -f nfpm.yaml -p deb -t .
//	cd FOLDER && nfpm package -f nfpm.yaml -p rpm -t .
//
// # Upgrades
//
// The scripts have a busy service run the new version without a broken request, or else the old one go on:
//
//   - systemd reads the new units before anything else is done.
//   - A socket that listens is left alone, and so are clients in its queue.
//   - A service that runs is reloaded. If the new version does not become ready the old one serves on, the package is installed
//     nevertheless, and a message says what to do.
//   - If the unit has changed in what only a new start applies, see [units.Hash], a restart would end a good process for a program that
//     nobody has seen run. So the new program is tried by a reload first, under the settings of the old one, and only when
//     that succeeded it is restarted. A program that needs the new settings to start at all is not: the message says so, and
//     the administrator restarts it. A restart has new clients wait until the requests under way are answered.
//   - A process that was started from a unit without a hash knows nothing of this: it is restarted if the new unit has one.
//   - What the administrator stopped, disabled or masked stays so, what failed is started anew if it is enabled. On Debian
//     policy-rc.d(8) has the last word.
//   - A new socket is open when the service was restarted, which it takes. One that the new version no longer has is closed.
//   - If the addresses of a socket have changed the service is reloaded, which keeps the old ones open, and never restarted: systemd has
//     lost them, and would not open the new ones. A message says what to do. Until then a crash would be an outage.
//
// With [units.Service.NotifyReload] systemd cannot tell whether a reload succeeded; the scripts look at the process.
// All running instances of a template are treated so, one after the other.
//
// # The rest of the life of a package
//
// A Debian package enables and starts the service when it is first installed, or again after a removal; an RPM package enables
// what the presets of the distribution say and starts nothing, as is the custom there. Instances of a template are neither
// enabled nor started. A removal stops all and leaves no unit. A purge, which RPM does not have, removes what was enabled, and
// the state, cache and logs directories of the service with all that is in them, and keeps its user: a number that was given
// away once must not come back as somebody else's.
//
// The units of users ([units.User]) are enabled for all of them. Nothing is started or reloaded there: root has no business in
// the service managers of users, and those who are not logged in have none.
//
// On Debian a file tells needrestart(1) that the old program, which may be draining still, is no reason for a restart.
package packaging

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"strings"

	"github.com/heirloom-go/heirloom/units"
)

// Package describes a package with one service. The fields that have no default must be set.
type Package struct {
	Service units.Service

	// Name is that of the package. The default is the name of the service, without the @ of a
	// template.
	Name string

	// Version begins with a digit and has letters, digits and .+~ only: a tilde sorts before
	// all, as in 1.0~rc1. Release counts packages of the same version; the default is 1.
	Version, Release string

	// Arch is the architecture as Go and Debian call it, such as amd64 and arm64; nfpm knows
	// the names that RPM has for those.
	Arch string

	// Maintainer is a name and address: "Jane Doe <jane@example.org>".
	Maintainer string

	// Summary is a line, Description any number of them. The default of Description is none.
	Summary, Description string

	// License is as SPDX calls it, Homepage a URL, Section one of Debian's. The defaults are
	// none, none, and net.
	License, Homepage, Section string

	// Binary is the path of the program on the machine where the package is built. It becomes
	// Service.Program. A relative one, here and in Contents, is relative to the folder of
	// nfpm.yaml.
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

	// Config says that the administrator may change the file: an upgrade then keeps it. It is
	// so for all files below /etc.
	Config bool

	// Mode is by default that of the source.
	Mode fs.FileMode
}

// File is one to write to a folder, for nfpm.
type File struct {
	Name string // relative to the folder, with slashes
	Text string
	Mode fs.FileMode
}

// Render returns the files, with units for the given version of systemd and newer ones: nfpm.yaml first, then what it names,
// the scripts in deb and rpm, and in files what becomes part of the package. The same description always gives the same files.
//
// An error matches [units.ErrInvalid], and joins an [*units.Error] for each thing that is wrong with the description.
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
