package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"runtime/debug"
)

var version string // set by -ldflags "-X main.version=1.2.0"

// currentVersion is that of the package, or of the module that go install
// built.
func currentVersion() string {
	built := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok {
		built = cmp.Or(info.Main.Version, built)
	}
	return cmp.Or(version, built)
}

func versionCommand() command {
	return command{
		name:  "version",
		short: "print the version of this command",
		usage: "",
		long: `Version prints the version of this command.

    heirloom-units version
`,
		prepare: func(*flag.FlagSet) action {
			return func(_ context.Context, args []string, c console) error {
				if err := none(args); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.out, currentVersion())
				return err
			}
		},
	}
}
