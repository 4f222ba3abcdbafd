package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/heirloom-go/heirloom/units"
)

func renderCommand() command {
	return command{
		name:  "render",
		short: "write the units for a description",
		usage: "[-spec FILE] [flags] [-out DIR | -root DIR]",
		long: `Render writes the .service and .socket files of a daemon, and those for sysusers and tmpfiles if it has its own user or
paths. Without -out and -root it prints them.

    heirloom-units render -name hello -exec /usr/bin/hello -socket http=0.0.0.0:8080 -stop 20s -out /etc/systemd/system
    heirloom-units render -name web -exec '/usr/bin/web serve' -reload 'serve reload' -env LANG=C.UTF-8
    heirloom-units render -spec hello.heirloom -systemd 257
    heirloom-units render -spec hello.heirloom -root debian/hello

A description is written as https://pkg.go.dev/github.com/heirloom-go/heirloom/units#ParseSpec has it.
`,
		values: map[string][]string{"network": {"none", "local", "any"}},
		prepare: func(flags *flag.FlagSet) action {
			var d description
			d.flags(flags)
			out := flags.String("out", "", "write all files into this one `directory`")
			root := flags.String("root", "", "write the files below this `directory`, as a package installs them")
			return func(_ context.Context, args []string, c console) error {
				if err := none(args); err != nil {
					return err
				}
				service, err := d.service()
				if err != nil {
					return err
				}
				files, err := service.Render(d.systemd)
				if err != nil {
					return err
				}
				warn(c.err, service)
				return place(files, *out, *root, c.out)
			}
		},
	}
}

func none(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q: use the flags", args[0])
	}
	return nil
}

// place writes the files, and prints their paths.
func place(files []units.File, out, root string, stdout io.Writer) error {
	for _, file := range files {
		path := ""
		switch {
		case root != "":
			path = filepath.Join(root, file.Path)
		case out != "":
			path = filepath.Join(out, file.Name())
		default:
			fmt.Fprintf(stdout, "# %s\n%s\n", file.Path, file.Text)
			continue
		}
		if err := write(path, file.Text, file.Mode); err != nil {
			return err
		}
		fmt.Fprintln(stdout, path)
	}
	return nil
}

// write replaces the file as a whole or leaves it unchanged, even if it is
// interrupted.
func write(path, text string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".heirloom-units-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is there only if something failed
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Chmod(mode)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
