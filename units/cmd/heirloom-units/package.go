package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/heirloom-go/heirloom/units/packaging"
)

// A packing is what the flags of package say.
type packing struct {
	spec, out, version, release, arch, binary, formats, nfpm string
	systemd                                                  int
}

// install is the command that installs nfpm.
const install = "go install github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0"

func packageCommand() command {
	return command{
		name:  "package",
		short: "write the files for a deb or rpm package of a daemon",
		usage: "-spec FILE [flags]",
		long: `Package writes the units, maintainer scripts with which an upgrade breaks no request, and a configuration for nfpm that makes a
package of them and the program. With -format it also runs nfpm, and writes the packages into the same directory:

    heirloom-units package -spec hello.heirloom -version 1.2.0 -arch amd64 -binary ./hello -out dist
    cd dist && nfpm package -p deb -t .

    heirloom-units package -spec hello.heirloom -version 1.2.0 -arch amd64 -binary ./hello -out dist -format deb,rpm

The description's section Package has what the flags do not say:
https://pkg.go.dev/github.com/heirloom-go/heirloom/units/packaging#ParseSpec

Install nfpm with ` + install + `
`,
		prepare: func(flags *flag.FlagSet) action {
			var p packing
			flags.StringVar(&p.spec, "spec", "", "the description's `file`")
			flags.StringVar(&p.out, "out", "dist", "write into this `directory`")
			flags.StringVar(&p.version, "version", "", "the package's version")
			flags.StringVar(&p.release, "release", "", "counts packages of one version (default 1)")
			flags.StringVar(&p.arch, "arch", "", "the architecture, such as amd64 or arm64")
			flags.StringVar(&p.binary, "binary", "", "the program's `file`, built for that architecture")
			flags.StringVar(&p.formats, "format", "", "run nfpm for each of these, such as deb,rpm")
			flags.StringVar(&p.nfpm, "nfpm", "nfpm", "the nfpm to run: a `command` with its arguments")
			flags.IntVar(&p.systemd, "systemd", 252, "for this `version` of systemd and newer ones")
			return p.run
		},
	}
}

func (p *packing) run(ctx context.Context, args []string, c console) error {
	if err := none(args); err != nil {
		return err
	}
	described, err := p.describe()
	if err != nil {
		return err
	}
	files, err := described.Render(p.systemd)
	if err != nil {
		return err
	}
	warn(c.err, described.Service)
	for _, file := range files {
		path := filepath.Join(p.out, filepath.FromSlash(file.Name))
		if err := write(path, file.Text, file.Mode); err != nil {
			return err
		}
		fmt.Fprintln(c.out, path)
	}
	for format := range strings.SplitSeq(p.formats, ",") {
		if format == "" {
			continue
		}
		if err := p.pack(ctx, format, c); err != nil {
			return fmt.Errorf("nfpm, for %s: %w", format, err)
		}
	}
	return nil
}

// describe reads the description, and makes paths absolute: nfpm takes relative
// ones from where it runs.
func (p *packing) describe() (packaging.Package, error) {
	var none packaging.Package
	if p.spec == "" {
		return none, errors.New("a description is needed: -spec FILE")
	}
	spec, err := filepath.Abs(p.spec)
	if err != nil {
		return none, err
	}
	text, err := os.ReadFile(p.spec)
	if err != nil {
		return none, fmt.Errorf("description: %w", err)
	}
	described, err := packaging.ParseSpec(spec, string(text))
	if err != nil {
		return none, err
	}
	for _, flag := range []struct {
		value string
		field *string
	}{{p.version, &described.Version}, {p.release, &described.Release}, {p.arch, &described.Arch}} {
		if flag.value != "" {
			*flag.field = flag.value
		}
	}
	if p.binary != "" {
		if described.Binary, err = filepath.Abs(p.binary); err != nil {
			return none, err
		}
	}
	return described, nil
}

func (p *packing) pack(ctx context.Context, format string, c console) error {
	words := strings.Fields(p.nfpm)
	if len(words) == 0 {
		return errors.New("-nfpm is empty")
	}
	// It runs elsewhere, and a relative path with a slash would be taken from
	// there.
	program, err := exec.LookPath(words[0])
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w; install it with: %s", err, install)
	}
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, append(words[1:], "package", "-f", "nfpm.yaml", "-p", format, "-t", ".")...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.out, c.out, c.err
	return cmd.Run()
}
