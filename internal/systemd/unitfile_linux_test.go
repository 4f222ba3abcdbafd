package systemd_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/filetree"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/systemd"
)

// TestFiles reads trees of files. Those of the real systemds have more.
func TestFiles(t *testing.T) {
	const etc, run, lib = "/etc/systemd/system/", "/run/systemd/system/", "/usr/lib/systemd/system/"
	stop := func(seconds int) string { return fmt.Sprintf("[Service]\nTimeoutStopSec=%d\n", seconds) }
	tests := []struct {
		name  string
		files map[string]string // a text of "->" makes a link
		unit  string            // if it is not a-b.service
		path  string            // that counts
		want  int               // seconds
		err   string
	}{
		{name: "unit", files: map[string]string{lib + "a-b.service": stop(47)}, path: lib + "a-b.service", want: 47},
		{name: "better", files: map[string]string{lib + "a-b.service": stop(7), etc + "a-b.service": stop(47)}, path: etc + "a-b.service", want: 47},
		{name: "better without", files: map[string]string{lib + "a-b.service": stop(7), etc + "a-b.service": "[Unit]\n"}, path: systemd.BuiltIn, want: 90},
		{name: "type", files: map[string]string{lib + "a-b.service": stop(7), etc + "service.d/10.conf": stop(47)}, path: etc + "service.d/10.conf", want: 47},
		{name: "type is last", files: map[string]string{lib + "a-b.service": stop(7), etc + "service.d/10.conf": stop(8), lib + "a-.service.d/10.conf": stop(47)},
			path: lib + "a-.service.d/10.conf", want: 47},
		{name: "masked drop-in", files: map[string]string{lib + "a-b.service": stop(47), lib + "a-b.service.d/10.conf": stop(7), run + "a-b.service.d/10.conf": "->/dev/null"},
			path: lib + "a-b.service", want: 47},
		{name: "empty drop-in", files: map[string]string{lib + "a-b.service": stop(47), lib + "a-b.service.d/10.conf": stop(7), run + "a-b.service.d/10.conf": ""},
			path: lib + "a-b.service", want: 47},
		{name: "linked drop-in", files: map[string]string{lib + "a-b.service": stop(7), lib + "a-b.service.d/10.conf": "->../other", lib + "other": stop(47)},
			path: lib + "a-b.service.d/10.conf", want: 47},
		{name: "lost drop-in", files: map[string]string{lib + "a-b.service": stop(47), lib + "a-b.service.d/10.conf": "->../other"}, path: lib + "a-b.service", want: 47},
		{name: "sorted", files: map[string]string{lib + "a-b.service": stop(7), etc + "a-b.service.d/10.conf": stop(8), run + "a-b.service.d/30.conf": stop(47),
			lib + "a-b.service.d/20.conf": stop(9), etc + "a-b.service.d/40": stop(10), etc + "a-b.service.d/.50.conf": stop(11)}, path: run + "a-b.service.d/30.conf", want: 47},
		{name: "folder for a drop-in", files: map[string]string{lib + "a-b.service": stop(7), etc + "a-b.service.d/10.conf/x.conf": stop(8), lib + "a-b.service.d/10.conf": stop(9), run + "a-b.service.d/20.conf": stop(47)},
			path: run + "a-b.service.d/20.conf", want: 47},
		{name: "template", files: map[string]string{etc + "a@.service": stop(7), lib + "a@x.service": stop(47)}, unit: "a@x.service", path: lib + "a@x.service", want: 47},
		{name: "masked", files: map[string]string{lib + "a-b.service": stop(7), etc + "a-b.service": "->/dev/null"}, err: "masked"},
		{name: "empty", files: map[string]string{lib + "a-b.service": stop(7), etc + "a-b.service": ""}, err: "masked"},
		{name: "none", files: map[string]string{etc + "a-b.service.d/10.conf": stop(7)}, err: "no file of a-b.service"},
		{name: "folder that is a file", files: map[string]string{lib + "a-b.service": stop(47), etc + "a-b.service.d": "7"}, path: lib + "a-b.service", want: 47},
		{name: "default", files: map[string]string{lib + "a-b.service": "[Unit]\n", "/usr/lib/systemd/system.conf": "[Manager]\nDefaultTimeoutStopSec=47"},
			path: "/usr/lib/systemd/system.conf", want: 47},
		{name: "better default", files: map[string]string{lib + "a-b.service": "[Unit]\n", "/usr/lib/systemd/system.conf": "[Manager]\nDefaultTimeoutStopSec=7",
			"/etc/systemd/system.conf": "[Manager]\n"}, path: systemd.BuiltIn, want: 90},
		{name: "default dropped in", files: map[string]string{lib + "a-b.service": "[Unit]\n", "/etc/systemd/system.conf": "[Manager]\nDefaultTimeoutStopSec=7",
			"/usr/lib/systemd/system.conf.d/10.conf": "[Manager]\nDefaultTimeoutStopSec=47\nDefaultTimeoutStopSec="}, path: "/usr/lib/systemd/system.conf.d/10.conf", want: 47},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leakcheck.Check(t)
			t.Setenv("MANAGERPID", "")
			unit := "a-b.service"
			if test.unit != "" {
				unit = test.unit
			}
			got, err := systemd.ReadBelow(filetree.Write(t, test.files), unit)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("read %+v, error %v, want one that says %q", got, err, test.err)
				}
				return
			}
			want := systemd.Timeout{Duration: time.Duration(test.want) * time.Second, Source: systemd.UnitFile, Detail: test.path}
			if err != nil || got != want {
				t.Errorf("read %+v, error %v, want %+v", got, err, want)
			}
		})
	}
}

// TestUserFiles looks for the files of a user's unit.
func TestUserFiles(t *testing.T) {
	t.Setenv("MANAGERPID", "1")
	t.Setenv("HOME", "/home/me")
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/1")
	t.Setenv("XDG_CONFIG_HOME", "")
	unit, conf := "[Service]\nTimeoutStopSec=47\n", "[Manager]\nDefaultTimeoutStopSec=47\n"
	for _, path := range []string{
		"/home/me/.config/systemd/user/a.service", "/run/user/1/systemd/transient/a.service", "/home/me/.local/share/systemd/user/a.service",
		"/home/me/.config/systemd/user.conf", "/etc/systemd/user.conf.d/10.conf",
	} {
		files := map[string]string{"/usr/lib/systemd/user/a.service": "[Unit]\n", path: unit}
		if strings.Contains(path, ".conf") && !strings.HasSuffix(path, ".service") {
			files[path] = conf
		}
		got, err := systemd.ReadBelow(filetree.Write(t, files), "a.service")
		if want := (systemd.Timeout{Duration: 47 * time.Second, Source: systemd.UnitFile, Detail: path}); err != nil || got != want {
			t.Errorf("read %+v, error %v, want %+v", got, err, want)
		}
	}
}
