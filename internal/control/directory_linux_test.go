package control_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/control"
)

const nobody = 65534

// TestPrivate tells directories that another user has a hand in.
func TestPrivate(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: cannot be another user")
	}
	for name, test := range map[string]struct {
		parent os.FileMode // of the parent
		make   func(dir string) error
		why    string // "" if it is private
	}{
		"ours":                      {0o755, func(dir string) error { return os.Mkdir(dir, 0o700) }, ""},
		"ours, in a sticky folder":  {0o777 | os.ModeSticky, func(dir string) error { return os.Mkdir(dir, 0o700) }, ""},
		"ours, in one for everyone": {0o777, func(dir string) error { return os.Mkdir(dir, 0o700) }, "not sticky"},
		"another's": {0o777 | os.ModeSticky, func(dir string) error {
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			return os.Chown(dir, nobody, nobody)
		}, "belongs to user 65534"},
		"for everyone": {0o777 | os.ModeSticky, func(dir string) error {
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			return os.Chmod(dir, 0o777)
		}, "may be written to by others"},
		"a link to ours": {0o777 | os.ModeSticky, func(dir string) error {
			if err := os.Mkdir(dir+"-real", 0o700); err != nil {
				return err
			}
			return os.Symlink(dir+"-real", dir)
		}, "is not a directory"},
		"a file":  {0o755, func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, "is not a directory"},
		"nothing": {0o755, func(string) error { return nil }, "no such file"},
	} {
		parent := filepath.Join(t.TempDir(), "parent")
		if err := os.Mkdir(parent, 0o700); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(parent, "dir")
		if err := test.make(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(parent, test.parent); err != nil {
			t.Fatal(err)
		}
		err := control.WhyNotPrivate(dir)
		if (err == nil) != (test.why == "") || err != nil && !strings.Contains(err.Error(), test.why) {
			t.Errorf("%s: %v, want %q", name, err, test.why)
		}
	}
}
