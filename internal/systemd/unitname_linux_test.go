package systemd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/systemd"
)

func TestUnitOfCgroups(t *testing.T) {
	tests := []struct {
		name, text string
		user       bool
		want       string
	}{
		{name: "service", text: "0::/system.slice/hello.service\n", want: "hello.service"},
		{name: "instance", text: "0::/system.slice/system-hello.slice/hello@a.service", want: "hello@a.service"},
		{name: "delegated", text: "0::/system.slice/hello.service/sub/other.service\n", want: "hello.service"},
		{name: "escaped", text: "0::/system.slice/_cpu.service\n", want: "cpu.service"},
		{name: "no slice", text: "0::/hello.service\n", want: "hello.service"},
		{name: "version 1", text: "5:memory:/\n1:name=systemd:/system.slice/hello.service\n0::/\n", want: "hello.service"},
		{name: "version 1 of others", text: "5:memory:/docker/x\n2:name=other:/a.service\n0::/system.slice/hello.service\n", want: "hello.service"},
		{name: "colon", text: "0::/system.slice/a:b.service\n", want: "a:b.service"},
		{name: "of the user", text: "0::/user.slice/user-1.slice/user@1.service/app.slice/hello.service\n", user: true, want: "hello.service"},
		{name: "the user's manager", text: "0::/user.slice/user-1.slice/user@1.service/init.scope\n", user: true},
		{name: "for the system", text: "0::/user.slice/user-1.slice/user@1.service/app.slice/hello.service\n", want: "user@1.service"},
		{name: "scope", text: "0::/user.slice/user-1.slice/session-1.scope/a.service\n"},
		{name: "namespace", text: "0::/\n"},
		{name: "above", text: "0::/../a.service\n"},
		{name: "empty"},
		{name: "not such a file", text: "hello.service"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := systemd.UnitOfCgroups(test.text, test.user); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func FuzzUnitOfCgroups(f *testing.F) {
	f.Add("1:name=systemd:/system.slice/hello.service\n0::/\n", false)
	f.Add("0::/user.slice/user-1.slice/user@1.service/app.slice/hello.service\n", true)
	f.Fuzz(func(t *testing.T, text string, user bool) {
		if unit := systemd.UnitOfCgroups(text, user); unit != "" && (!strings.HasSuffix(unit, ".service") || strings.Contains(unit, "/")) {
			t.Errorf("%q", unit)
		}
	})
}

// TestInvocation finds the unit of this process among others.
func TestInvocation(t *testing.T) {
	beNoService(t)
	links := filepath.Join(runtimeDir(t), "systemd/units")
	if err := os.MkdirAll(links, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]string{"invocation:a.service": "1", "invocation:b.service": "2", "invocation:c.mount": "3", "log-level-max:d.service": "4"} {
		if err := os.Symlink(id, filepath.Join(links, name)); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]string{"2": "b.service", "3": "", "4": "", "5": "", "": ""} {
		t.Setenv("INVOCATION_ID", id)
		if got := systemd.OwnUnit(); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}
