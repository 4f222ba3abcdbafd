package packaging

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
	"github.com/heirloom-go/heirloom/units"
)

// ParseSpec reads a description from a file: that of the service, see
// [units.ParseSpec], and the fields of [Package] in a section Package. Contents
// is a line for each file:
//
//	[Package]
//	Version=1.2.0
//	Arch=amd64
//	Maintainer=Jane Doe <jane@example.org>
//	Summary=greets whoever asks
//	Binary=build/hello
//	Contents=hello.conf:/etc/hello.conf
//	Depends=ca-certificates
//
// Relative paths are relative to the directory of path. What the file leaves
// out can be set before Render, which says what is missing. The error joins an
// [*units.Error] for each thing that is wrong.
func ParseSpec(path, text string) (Package, error) {
	service, err := units.ParseSpec(path, text)
	p := Package{Service: service}
	errs := []error{err}
	for _, a := range unitfile.Parse(path, text).Assignments {
		if a.Section != units.PackageSection {
			continue
		}
		if err := p.set(a.Name, a.Value, filepath.Dir(path)); err != nil {
			errs = append(errs, &units.Error{
				Path: path, Line: a.Line, Section: a.Section, Field: a.Name, Value: a.Value, Why: err.Error(),
			})
		}
	}
	return p, errors.Join(errs...)
}

func (p *Package) set(field, value, folder string) error {
	if text := p.textFields()[field]; text != nil {
		*text = value
		return nil
	}
	switch field {
	case "Binary":
		p.Binary = beside(folder, value)
	case "Contents":
		source, destination, found := strings.Cut(value, ":")
		if !found {
			return errors.New("it does not have the form SOURCE:DESTINATION")
		}
		p.Contents = append(p.Contents, Content{Source: beside(folder, source), Destination: destination})
	case "Depends", "DebDepends", "RPMDepends":
		list := map[string]*[]string{"Depends": &p.Depends, "DebDepends": &p.DebDepends, "RPMDepends": &p.RPMDepends}[field]
		for name := range strings.SplitSeq(value, ",") {
			*list = append(*list, strings.TrimSpace(name))
		}
	default:
		return errors.New("unknown field; see packaging.Package")
	}
	return nil
}

func (p *Package) textFields() map[string]*string {
	return map[string]*string{
		"Name": &p.Name, "Version": &p.Version, "Release": &p.Release, "Arch": &p.Arch, "Maintainer": &p.Maintainer,
		"Summary": &p.Summary, "Description": &p.Description, "License": &p.License, "Homepage": &p.Homepage, "Section": &p.Section,
	}
}

func beside(folder, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}
