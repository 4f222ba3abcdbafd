// Sbom checks a bill of materials against what the go command says: it has to
// name the modules that the packages of the module here are compiled of, in
// these versions, and no others.
//
//	go run ./tools/sbom dist/heirloom.cdx.json
//
// The tests of the packages do not count.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// systems are those that the packages are built for, by GOOS: a package may
// import another module on each.
var systems = []string{"linux", "darwin", "freebsd", "windows"}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: sbom FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// run checks a file.
func run(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	of, named, err := parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	own, needed, err := modules()
	if err != nil {
		return err
	}
	if of != own {
		return fmt.Errorf("%s is of the module %q, want %q", file, of, own)
	}
	if err := compare(named, needed); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	fmt.Printf("%s names the %d modules that %s needs\n", file, len(needed), own)
	return nil
}

// parse returns which module a bill in CycloneDX's JSON is of, and what it says
// that this is made of, each as path@version.
func parse(text []byte) (of string, named []string, err error) {
	type component struct{ Name, Version string }
	var bill struct {
		BOMFormat  string
		Metadata   struct{ Component component }
		Components []component
	}
	if err := json.Unmarshal(text, &bill); err != nil {
		return "", nil, err
	}
	if bill.BOMFormat != "CycloneDX" {
		return "", nil, fmt.Errorf("its format is %q, want CycloneDX", bill.BOMFormat)
	}
	for _, c := range bill.Components {
		named = append(named, c.Name+"@"+c.Version)
	}
	return bill.Metadata.Component.Name, named, nil
}

// modules returns the path of the module here, and the modules that its
// packages are compiled of, each as path@version.
func modules() (own string, needed []string, err error) {
	all := map[string]bool{}
	for _, system := range systems {
		const format = "{{with .Module}}{{if .Main}}{{.Path}}{{else}}{{.Path}}@{{.Version}}{{end}}{{end}}"
		cmd := exec.Command("go", "list", "-deps", "-f", format, "./...")
		cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return "", nil, fmt.Errorf("%v: %w\n%s", cmd, err, strings.TrimSpace(stderr.String()))
		}
		for _, module := range strings.Fields(string(out)) {
			if strings.Contains(module, "@") {
				all[module] = true
			} else {
				own = module
			}
		}
	}
	return own, slices.Sorted(maps.Keys(all)), nil
}

// compare says what is named and not needed, named twice, or needed and not
// named.
func compare(named, needed []string) (err error) {
	left := map[string]bool{}
	for _, module := range needed {
		left[module] = true
	}
	for _, module := range named {
		switch {
		case left[module]:
			delete(left, module)
		case slices.Contains(needed, module):
			err = errors.Join(err, fmt.Errorf("%s is named twice", module))
		default:
			err = errors.Join(err, fmt.Errorf("%s is named, and no package needs it", module))
		}
	}
	for _, module := range slices.Sorted(maps.Keys(left)) {
		err = errors.Join(err, fmt.Errorf("%s is needed, and not named", module))
	}
	return err
}
