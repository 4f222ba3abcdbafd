package packaging

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/heirloom-go/heirloom/units"
)

// nfpm returns the configuration of nfpm. Its values are quoted as JSON, which
// YAML contains.
func (p Package) nfpm(rendered []units.File) string {
	var y yaml
	y.line("name: %s", p.Name)
	y.line("arch: %s", p.Arch)
	y.line("platform: linux")
	y.line("version: %s", p.Version)
	y.line("version_schema: none")
	y.line("release: %s", p.Release)
	y.line("section: %s", p.Section)
	y.line("priority: optional")
	y.line("maintainer: %s", p.Maintainer)
	y.line("description: %s", strings.TrimSpace(p.Summary+"\n"+p.Description))
	y.lineIf("license: %s", p.License)
	y.lineIf("homepage: %s", p.Homepage)
	// A name is that of one file, whatever is in it.
	y.line("disable_globbing: true")
	y.line("contents:")
	y.content(Content{Source: p.Binary, Destination: p.Service.Program, Mode: 0o755}, "")
	for _, f := range rendered {
		y.content(Content{Source: "files" + f.Path, Destination: f.Path, Mode: f.Mode}, "")
	}
	for _, c := range p.Contents {
		y.content(c, "")
	}
	if override := needrestart(p.Name); p.Service.Scope != units.User {
		y.content(Content{Source: "files" + override, Destination: override, Mode: 0o644}, "deb")
	}
	p.overrides(&y)
	return y.String()
}

// overrides are what the formats do not share.
func (p Package) overrides(y *yaml) {
	y.line("overrides:")
	y.line("  deb:")
	y.list("    depends:", append(append(p.sysusers("systemd | systemd-standalone-sysusers | systemd-sysusers"), p.Depends...), p.DebDepends...))
	y.line("    scripts:")
	for i, key := range []string{"preremove", "preinstall", "postremove", "postinstall"} {
		y.line("      "+key+": %s", "deb/"+debScripts[i])
	}
	y.line("  rpm:")
	y.list("    depends:", append(append(p.sysusers("/usr/bin/systemd-sysusers"), p.Depends...), p.RPMDepends...))
	y.line("    scripts:")
	for i, key := range []string{"preinstall", "postinstall", "preremove", "postremove"} {
		y.line("      "+key+": %s", "rpm/"+rpmScripts[i])
	}
	y.line("rpm:")
	y.line("  summary: %s", p.Summary)
	y.line("  scripts:")
	y.line("    posttrans: %s", "rpm/posttrans")
}

// sysusers is the dependency on what makes the user, if there is one to make.
func (p Package) sysusers(name string) []string {
	if p.Service.User == "" || p.Service.Scope == units.User {
		return nil
	}
	return []string{name}
}

type yaml struct{ strings.Builder }

// line writes a line in which %s stands for a value.
func (y *yaml) line(format string, values ...string) {
	quoted := make([]any, len(values))
	for i, value := range values {
		quoted[i] = quote(value)
	}
	fmt.Fprintf(y, format+"\n", quoted...)
}

func (y *yaml) lineIf(format, value string) {
	if value != "" {
		y.line(format, value)
	}
}

func (y *yaml) list(key string, values []string) {
	if len(values) == 0 {
		return
	}
	y.line(key)
	for _, value := range values {
		y.line("      - %s", value)
	}
}

func (y *yaml) content(c Content, packager string) {
	y.line("  - src: %s", c.Source)
	y.line("    dst: %s", c.Destination)
	if c.Config || strings.HasPrefix(c.Destination, "/etc/") {
		y.line("    type: config|noreplace")
	}
	if packager != "" {
		y.line("    packager: %s", packager)
	}
	if c.Mode != 0 {
		fmt.Fprintf(y, "    file_info: {mode: %#04o}\n", c.Mode.Perm())
	}
}

// quote leaves <, > and & as they are, which stand in addresses.
func quote(value string) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // a string
	return strings.TrimSuffix(text.String(), "\n")
}
