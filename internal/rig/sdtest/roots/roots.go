// Package roots knows the folders that machines of package sdtest boot from,
// and prepares them.
//
// There is one folder for each version of systemd. The host's own root is the
// one for 252, Debian 12. The others are made by debootstrap from the mirror
// that the host's own apt uses, and kept in the cache folder: the environment
// variable HEIRLOOM_ROOTS, else /var/cache/heirloom.
package roots

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrMissing is matched by the errors of Find and Package when what is wanted
// is not there.
var ErrMissing = errors.New("missing")

// Root is a folder that holds a Debian system.
type Root struct {
	Path    string
	Suite   string // of Debian; empty for the host's own root
	Want    int    // the major version of systemd looked for
	Systemd string // the version found, as in "257 (257.13-1~deb13u1)"
}

// all returns what there should be, oldest first.
func all() []Root {
	return []Root{
		{Path: "/", Want: 252},
		{Path: filepath.Join(Dir(), "trixie"), Suite: "trixie", Want: 257},
		{Path: filepath.Join(Dir(), "sid"), Suite: "sid", Want: 262},
	}
}

// Dir returns the cache folder.
func Dir() string { return cmp.Or(os.Getenv("HEIRLOOM_ROOTS"), "/var/cache/heirloom") }

// Find returns the root for a major version of systemd: 252, 257 or 262.
// Unstable moves on, so its root may hold a newer one than 262; the others must
// hold exactly what they stand for. The error wraps ErrMissing and says what
// was found instead and how to get it; on other systems than Linux it wraps
// errors.ErrUnsupported.
func Find(major int) (Root, error) {
	for _, r := range all() {
		if r.Want == major {
			return r.inspect()
		}
	}
	return Root{}, fmt.Errorf("systemd %d: %w", major, ErrMissing)
}

// Package returns the path of a Debian package that SetUp keeps for machines
// with the host's root. The error wraps ErrMissing and says how to get it.
func Package(name string) (string, error) {
	paths, err := filepath.Glob(filepath.Join(packageDir(), name+"_*.deb"))
	if err != nil {
		return "", err
	}
	if len(paths) == 0 {
		return "", fmt.Errorf("no package %s in %s (%s): %w", name, packageDir(), sdrootsAdvice, ErrMissing)
	}
	return paths[len(paths)-1], nil
}

func packageDir() string { return filepath.Join(Dir(), "packages") }

// inspect fills in the version found and judges it.
func (r Root) inspect() (Root, error) {
	out, err := askVersion(r.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("%s has no systemctl (%s): %w", r.Path, r.advice(), ErrMissing)
	}
	if err != nil {
		return r, fmt.Errorf("version of systemd in %s: %w", r.Path, err)
	}
	major, full, err := ParseVersion(out)
	if err != nil {
		return r, fmt.Errorf("version of systemd in %s: %w", r.Path, err)
	}
	r.Systemd = full
	if major != r.Want && (r.Suite != "sid" || major < r.Want) {
		return r, fmt.Errorf("%s has systemd %s, not %d (%s): %w", r.Path, full, r.Want, r.advice(), ErrMissing)
	}
	return r, nil
}

// advice says how to get what is missing.
func (r Root) advice() string {
	if r.Suite == "" {
		return "needs Debian 12 as the host"
	}
	return sdrootsAdvice
}

const sdrootsAdvice = "run go run ./internal/rig/sdtest/cmd/sdroots"

// ParseVersion reads what systemctl --version prints: "systemd 257
// (257.13-1~deb13u1)" and a line of features. It returns the major version and
// the first line without its first word.
func ParseVersion(out string) (major int, full string, err error) {
	line, _, _ := strings.Cut(out, "\n")
	full, ok := strings.CutPrefix(strings.TrimSpace(line), "systemd ")
	if !ok {
		return 0, "", fmt.Errorf("%q is not a version of systemd", line)
	}
	number, _, _ := strings.Cut(full, " ")
	number, _, _ = strings.Cut(number, "~") // "258~rc1"
	major, err = strconv.Atoi(number)
	if err != nil || major <= 0 {
		return 0, "", fmt.Errorf("%q is not a version of systemd: no number %q", line, number)
	}
	return major, full, nil
}
