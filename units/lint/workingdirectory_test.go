package lint_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/units/lint"
)

// TestWorkingDirectory has paths on a machine where some are symlinks.
func TestWorkingDirectory(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, dir := range []string{"etc/systemd/system", "run/hello", "var", "srv/hello/releases/1/web", "srv/plain/current", "opt/hello-1"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"var/run": "../run", "srv/hello/live": "releases/1", "opt/hello": "hello-1"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for value, link := range map[string]string{
		"/srv/hello/live":      "/srv/hello/live",
		"-/srv/hello/live/web": "/srv/hello/live",
		"/opt/%p":              "/opt/hello",
		"/srv/other/current":   "/srv/other/current",
		"/srv/plain/current":   "",
		"/var/run/hello":       "",
		"/srv/hello":           "",
		"/srv/other":           "",
		"/":                    "",
		"~":                    "",
		"":                     "",
	} {
		unit := "[Service]\nType=notify\nExecStart=/usr/bin/hello\nWorkingDirectory=" + value + "\n"
		write(t, filepath.Join(root, "etc/systemd/system/hello.service"), unit)
		said := ""
		for _, f := range check(t, lint.Options{Root: root}, "hello.service") {
			if f.Rule == "working-directory" {
				said += f.Why
			}
		}
		if (said != "") != (link != "") || !strings.Contains(said, link) {
			t.Errorf("WorkingDirectory=%s: %q, want the symlink %q", value, said, link)
		}
	}
}
