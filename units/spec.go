package units

import (
	"errors"
	"fmt"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// PackageSection is the section of a description that [ParseSpec] leaves to
// package packaging.
const PackageSection = "Package"

// ParseSpec reads a description in the syntax of unit files, systemd.syntax(7).
// Its settings are the fields of [Service] in the section Service, and those of
// [Socket] in the section Socket, where each Name starts another socket:
//
//	[Service]
//	Name=hello
//	Program=/usr/bin/hello
//	Args=-greeting "Hello, world"
//	StopTimeout=20s
//	StateDirectory=hello
//
//	[Socket]
//	Name=http
//	Addresses=0.0.0.0:8080 [::]:8080
//
//	[Socket]
//	Name=admin
//	Addresses=/run/hello-admin.sock
//	Mode=0600
//
// A field with several values takes them on one line or on several, separated
// by blanks. A value that has a blank is quoted. Settings takes one line for
// each, as in
//
//	Settings=[Service] Nice=5
//
// Times are those of systemd.time(7), sizes those of
// systemd.resource-control(5), such as 512M.
//
// The path is for messages. The error joins an [*Error], with path and line,
// for each line that cannot be read. If all can be read, it joins one for each
// field that [Service.Render] would refuse for every version of systemd.
func ParseSpec(path, text string) (Service, error) {
	r := specReader{lines: map[place]int{}}
	file := unitfile.Parse(path, text)
	var errs []*Error
	for _, p := range file.Problems {
		errs = append(errs, &Error{Section: "Service", Field: "", Line: p.Line, Why: p.Text})
	}
	for _, a := range file.Assignments {
		if err := r.take(a); err != nil {
			errs = append(errs, &Error{Line: a.Line, Section: a.Section, Field: a.Name, Value: a.Value, Why: err.Error()})
		}
	}
	if len(errs) == 0 {
		errs = r.locate(r.service.faults())
	}
	for _, err := range errs {
		err.Path = path
	}
	return r.service, join(errs)
}

// A place is where a value of a field stands; with the value "", where the
// field stands last.
type place struct{ section, field, value string }

type specReader struct {
	service Service
	lines   map[place]int
}

func (r *specReader) take(a unitfile.Assignment) error {
	switch a.Section {
	case PackageSection:
		return nil
	case "Service":
		set, known := serviceFields[a.Name]
		if !known {
			return errors.New("unknown field; see units.Service")
		}
		r.note(a)
		return set(&r.service, a.Value)
	case "Socket":
		return r.takeSocket(a)
	}
	return fmt.Errorf("unknown section; use Service, Socket or %s", PackageSection)
}

func (r *specReader) takeSocket(a unitfile.Assignment) error {
	set, known := socketFields[a.Name]
	sockets := r.service.Sockets
	switch {
	case !known:
		return errors.New("unknown field; see units.Socket")
	case a.Name == "Name":
		r.service.Sockets = append(sockets, Socket{})
	case len(sockets) == 0:
		return errors.New("a socket starts with its Name")
	}
	r.note(a)
	return set(&r.service.Sockets[len(r.service.Sockets)-1], a.Value)
}

// note remembers the line for what is found wrong later.
func (r *specReader) note(a unitfile.Assignment) {
	r.lines[place{a.Section, a.Name, ""}] = a.Line
	r.lines[place{a.Section, a.Name, a.Value}] = a.Line
	words, _ := unitfile.Split(a.Value)
	for _, word := range words {
		r.lines[place{a.Section, a.Name, word}] = a.Line
	}
}

func (r *specReader) locate(errs []*Error) []*Error {
	for _, err := range errs {
		err.Line = r.lines[place{err.Section, err.Field, err.Value}]
		if err.Line == 0 {
			err.Line = r.lines[place{err.Section, err.Field, ""}]
		}
	}
	return errs
}

// SplitCommand splits a command line as in ExecStart= into the program and its
// arguments. The error matches [ErrInvalid] if there is no program, or a quote
// is not closed.
func SplitCommand(line string) ([]string, error) {
	words, err := unitfile.Split(line)
	if err == nil && len(words) == 0 {
		err = errors.New("there is no program")
	}
	if err != nil {
		return nil, &Error{Section: "Service", Field: "Program", Value: line, Why: err.Error()}
	}
	return words, nil
}
