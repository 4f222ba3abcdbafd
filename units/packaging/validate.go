package packaging

import (
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/units"
)

var (
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	version     = regexp.MustCompile(`^[0-9][A-Za-z0-9.+~]*$`)
	release     = regexp.MustCompile(`^[A-Za-z0-9.+~]+$`)
	arch        = regexp.MustCompile(`^[a-z0-9]+$`)
	maintainer  = regexp.MustCompile(`^[^<>]+ <[^<>@ ]+@[^<>@ ]+>$`)
)

// validate judges what package units does not.
func (p Package) validate() error {
	full := p.withDefaults()
	errs := []error{
		match("Name", full.Name, packageName, "a package is named with two or more of a-z, 0-9 and +.-"),
		match("Version", full.Version, version, "it begins with a digit and has letters, digits and .+~ only"),
		match("Release", full.Release, release, "it has letters, digits and .+~ only"),
		match("Arch", full.Arch, arch, "it is as Go and Debian call it, such as amd64"),
		match("Maintainer", full.Maintainer, maintainer, `it is "NAME <ADDRESS>"`),
	}
	if p.Summary == "" || strings.Contains(p.Summary, "\n") {
		errs = append(errs, refuse("Summary", p.Summary, "it is one line"))
	}
	if p.Binary == "" {
		errs = append(errs, refuse("Binary", p.Binary, "it is the path of the program on this machine"))
	}
	return errors.Join(append(errs, p.texts(), p.paths())...)
}

func match(field, value string, pattern *regexp.Regexp, why string) error {
	if pattern.MatchString(value) {
		return nil
	}
	return refuse(field, value, why)
}

func refuse(field, value, why string) error {
	return &units.Error{Section: units.PackageSection, Field: field, Value: value, Why: why}
}

// texts refuses what nfpm would expand: it has no way to write a dollar sign.
func (p Package) texts() error {
	var errs []error
	for _, field := range []struct {
		name   string
		values []string
	}{
		{"Summary", []string{p.Summary}}, {"Description", []string{p.Description}}, {"Maintainer", []string{p.Maintainer}},
		{"License", []string{p.License}}, {"Homepage", []string{p.Homepage}}, {"Section", []string{p.Section}},
		{"Depends", p.Depends}, {"DebDepends", p.DebDepends}, {"RPMDepends", p.RPMDepends},
	} {
		for _, value := range field.values {
			if strings.Contains(value, "$") {
				errs = append(errs, refuse(field.name, value, "nfpm takes a dollar sign for a variable"))
			}
		}
	}
	return errors.Join(errs...)
}

func (p Package) paths() error {
	var errs []error
	for _, c := range p.Contents {
		if c.Source == "" {
			errs = append(errs, refuse("Contents", c.Source+":"+c.Destination, "it has no source"))
		}
		if !path.IsAbs(c.Destination) || path.Clean(c.Destination) != c.Destination {
			errs = append(errs, refuse("Contents", c.Source+":"+c.Destination, "the destination must be an absolute path, without .. and the like"))
		}
	}
	for _, name := range slices.Concat(p.Service.StateDirectory, p.Service.CacheDirectory, p.Service.LogsDirectory) {
		// A purge would remove all of /var/lib.
		if path.Clean(name) == "." {
			errs = append(errs, refuse("Service", name, "it is not a directory of its own"))
		}
	}
	if strings.Contains(p.Service.Program, "%") {
		errs = append(errs, refuse("Service", p.Service.Program, "a package cannot have a file of that name"))
	}
	return errors.Join(errs...)
}
