package units

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"
)

// A File is a file to install.
type File struct {
	Path string // absolute: where packages install it
	Text string
	Mode fs.FileMode
}

// Name is how the file is called where all of a service are in one folder:
// hello.service, and, for those of sysusers.d and tmpfiles.d that are both
// called hello.conf, hello.sysusers and hello.tmpfiles, as debhelper calls
// them.
func (f File) Name() string {
	name := path.Base(f.Path)
	for _, kind := range []string{"sysusers", "tmpfiles"} {
		if strings.Contains(f.Path, "/"+kind+".d/") {
			return strings.TrimSuffix(name, "conf") + kind
		}
	}
	return name
}

// Render returns the files for the given version of systemd and newer ones: the
// service first, then its sockets in their order, then, where there is
// something to say in them, those for systemd-sysusers and systemd-tmpfiles.
// The same description always gives the same files.
//
// Render refuses versions older than [Oldest]. So far all others get the same
// lines, and only have to know NotifyReload. An error matches [ErrInvalid], and
// joins an *[Error] for each field of the description that is wrong.
func (s Service) Render(systemd int) ([]File, error) {
	if err := s.validate(systemd); err != nil {
		return nil, err
	}
	service := s.serviceUnit()
	service.set("Service", "Environment", HashVariable+"="+hashOf(service))
	files := []File{s.unitFile(s.Name+".service", service)}
	for i := range s.Sockets {
		files = append(files, s.unitFile(s.SocketUnits()[i], s.socketUnit(i)))
	}
	return append(files, s.accounts()...), nil
}

// SocketUnits returns the names of the socket units, in the order of Sockets.
func (s Service) SocketUnits() []string {
	return s.socketUnits("")
}

func (s *Service) socketUnits(instance string) []string {
	var names []string
	at := ""
	if s.template() {
		at = "@" + instance
	}
	for i, socket := range s.Sockets {
		name := s.base()
		if i > 0 {
			name += "-" + socket.Name
		}
		names = append(names, name+at+".socket")
	}
	return names
}

func (s *Service) unitFile(name string, o options) File {
	folder := "/usr/lib/systemd/system/"
	if s.Scope == User {
		folder = "/usr/lib/systemd/user/"
	}
	// Reading from memory does not fail.
	text, _ := io.ReadAll(unit.Serialize(o))
	return File{Path: folder + name, Text: s.commented(name, string(text)), Mode: 0o644}
}

// options are the lines of a unit. They are grouped by section when they are
// written.
type options []*unit.UnitOption

func (o *options) set(section, name, value string) {
	*o = append(*o, unit.NewUnitOption(section, name, value))
}

// setAll sets pairs of a name and a value.
func (o *options) setAll(section string, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		o.set(section, pairs[i], pairs[i+1])
	}
}

// setIf sets what is not empty.
func (o *options) setIf(section, name, value string) {
	if value != "" {
		o.set(section, name, value)
	}
}

// setList sets a line for each value.
func (o *options) setList(section, name string, values []string) {
	for _, value := range values {
		o.set(section, name, value)
	}
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func octal(mode fs.FileMode) string { return fmt.Sprintf("%04o", mode.Perm()) }
