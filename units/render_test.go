package units_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/units"
)

var update = flag.Bool("update", false, "write what is rendered to testdata")

// TestGolden compares what is rendered with what was looked through. To see
// what a change of the renderer does, run
//
//	go test ./units -run TestGolden -update && git diff units/testdata
func TestGolden(t *testing.T) {
	hello := units.Service{
		Name:        "hello",
		Program:     "/usr/bin/hello",
		Sockets:     []units.Socket{{Name: "http", Addresses: []string{"0.0.0.0:8080"}}},
		StopTimeout: 20 * time.Second,
	}
	reload := hello
	reload.NotifyReload = true
	user := units.Service{Name: "agent", Program: "/usr/bin/agent", Scope: units.User, Network: units.LocalNetwork}
	open := units.Service{
		Name: "open", Program: "/usr/bin/open", User: "opener", Group: "openers", Network: units.AnyNetwork,
		ReadWritePaths: []string{"/srv/open", "/home/open/a b"}, Capabilities: []string{"CAP_CHOWN"}, Memory: 1 << 30, Tasks: 100,
	}
	families := hello
	families.Sockets = []units.Socket{{Name: "http", Addresses: []string{"0.0.0.0:8080", "[::]:8080"}}}
	for _, test := range []struct {
		name    string
		systemd int
		service units.Service
	}{
		{"families", units.Oldest, families}, {"hello", units.Oldest, hello}, {"notify-reload", 253, reload}, {"user", 262, user}, {"open", 257, open}, {"template", 262, whole},
	} {
		files, err := test.service.Render(test.systemd)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, file := range files {
			fmt.Fprintf(&got, "-- %s %04o --\n%s", file.Path, file.Mode, file.Text)
		}
		golden := filepath.Join("testdata", test.name+".txt")
		if *update {
			if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(golden); err != nil || got.String() != string(want) {
			t.Errorf("%s: %v; rendered is\n%s", golden, err, got.String())
		}
	}
}

// TestComments has each comment once, above the first line that it is about,
// also where a setting is given twice.
func TestComments(t *testing.T) {
	s := units.Service{Name: "hello", Program: "/usr/bin/hello", Settings: []units.Setting{{Section: "Service", Name: "TimeoutStopSec", Value: "5s"}}}
	files, err := s.Render(units.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	text := files[0].Text
	const comment = "\n# How long what was begun may take when the service stops or is replaced.\n"
	if strings.Count(text, comment) != 1 || !strings.Contains(text, comment+"TimeoutStopSec=90s\n") || !strings.Contains(text, "\nTimeoutStopSec=5s\n") {
		t.Error(text)
	}
	if want := "# Made by heirloom-units, of a description. What you change goes into a drop-in: systemctl edit hello.service\n"; !strings.HasPrefix(text, want) {
		t.Errorf("it does not begin with %q:\n%s", want, text)
	}
}

// TestInvalid has a refusal for each rule: it names the field and the value.
func TestInvalid(t *testing.T) {
	for _, test := range []struct {
		field, value string
		change       func(*units.Service)
	}{
		{"Name", "", func(s *units.Service) { s.Name = "" }},
		{"Name", "a/b", func(s *units.Service) { s.Name = "a/b" }},
		{"Name", "a:b", func(s *units.Service) { s.Name = "a:b" }},
		{"Name", "private", func(s *units.Service) { s.Name = "private" }},
		{"Name", "-a", func(s *units.Service) { s.Name = "-a" }},
		{"Name", "a@b", func(s *units.Service) { s.Name = "a@b" }},
		{"Name", "hello.service", func(s *units.Service) { s.Name = "hello.service" }},
		{"Name", "hello.socket@", func(s *units.Service) { s.Name = "hello.socket@" }},
		{"Program", "/usr/bin/hello -v", func(s *units.Service) { s.Program = "/usr/bin/hello -v" }},
		{"Program", "/usr/bin/hello\t-v", func(s *units.Service) { s.Program = "/usr/bin/hello\t-v" }},
		{"Program", "hello", func(s *units.Service) { s.Program = "hello" }},
		{"Program", "/usr/../hello", func(s *units.Service) { s.Program = "/usr/../hello" }},
		{"Program", `/he"llo`, func(s *units.Service) { s.Program = `/he"llo` }},
		{"Description", "a\nb", func(s *units.Service) { s.Description = "a\nb" }},
		{"Description", `a\`, func(s *units.Service) { s.Description = `a\` }},
		{"Description", "\xff", func(s *units.Service) { s.Description = "\xff" }},
		{"Documentation", "hello(8)", func(s *units.Service) { s.Documentation = []string{"hello(8)"} }},
		{"Documentation", "man:a b", func(s *units.Service) { s.Documentation = []string{"man:a b"} }},
		{"Args", "a\nb", func(s *units.Service) { s.Args = []string{"a\nb"} }},
		{"Args", "a\x00b", func(s *units.Service) { s.Args = []string{"a\x00b"} }},
		{"ReloadArgs", "a\rb", func(s *units.Service) { s.ReloadArgs = []string{"a\rb"} }},
		{"Environment", "A", func(s *units.Service) { s.Environment = []string{"A"} }},
		{"Environment", "A=\x1b", func(s *units.Service) { s.Environment = []string{"A=\x1b"} }},
		{"Environment", "HEIRLOOM_UNIT_HASH=1", func(s *units.Service) { s.Environment = []string{"HEIRLOOM_UNIT_HASH=1"} }},
		{"EnvironmentFiles", "-a", func(s *units.Service) { s.EnvironmentFiles = []string{"-a"} }},
		{"EnvironmentFiles", "/a\n", func(s *units.Service) { s.EnvironmentFiles = []string{"/a\n"} }},
		{"NotifyReload", "yes", func(s *units.Service) { s.NotifyReload = true }},
		{"StopTimeout", "-1s", func(s *units.Service) { s.StopTimeout = -time.Second }},
		{"ReloadTimeout", "1ns", func(s *units.Service) { s.ReloadTimeout = 1 }},
		{"StartTimeout", "1ns", func(s *units.Service) { s.StartTimeout = 1 }},
		{"Watchdog", "1000000h0m0s", func(s *units.Service) { s.Watchdog = 1000000 * time.Hour }},
		{"Tasks", "-1", func(s *units.Service) { s.Tasks = -1 }},
		{"Descriptors", "-1", func(s *units.Service) { s.Descriptors = -1 }},
		{"StoredDescriptors", "2000000000", func(s *units.Service) { s.StoredDescriptors = 2000000000 }},
		{"Memory", "9223372036854775808", func(s *units.Service) { s.Memory = 1 << 63 }},
		{"Scope", "global", func(s *units.Service) { s.Scope = "global" }},
		{"Scope", "user", func(s *units.Service) { s.Scope, s.User = units.User, "hello" }},
		{"Network", "all", func(s *units.Service) { s.Network = "all" }},
		{"User", "a b", func(s *units.Service) { s.User = "a b" }},
		{"User", "1000", func(s *units.Service) { s.User = "1000" }},
		{"Group", "a\n", func(s *units.Service) { s.User, s.Group = "a", "a\n" }},
		{"Group", "a", func(s *units.Service) { s.Group = "a" }},
		{"Capabilities", "NET_RAW", func(s *units.Service) { s.Capabilities = []string{"NET_RAW"} }},
		{"SystemCalls", "~bpf", func(s *units.Service) { s.SystemCalls = []string{"~bpf"} }},
		{"StateDirectory", "/a", func(s *units.Service) { s.StateDirectory = []string{"/a"} }},
		{"StateDirectory", "private/a", func(s *units.Service) { s.StateDirectory = []string{"private/a"} }},
		{"CacheDirectory", "../a", func(s *units.Service) { s.CacheDirectory = []string{"../a"} }},
		{"LogsDirectory", "a b", func(s *units.Service) { s.LogsDirectory = []string{"a b"} }},
		{"ConfigurationDirectory", "a:b", func(s *units.Service) { s.ConfigurationDirectory = []string{"a:b"} }},
		{"StateDirectory", `a"`, func(s *units.Service) { s.StateDirectory = []string{`a"`} }},
		{"ReadWritePaths", "/a", func(s *units.Service) { s.ReadWritePaths = []string{"/a"} }}, // without a user
		{"ReadWritePaths", "/", func(s *units.Service) { s.User, s.ReadWritePaths = "a", []string{"/"} }},
		{"ReadWritePaths", "/a/", func(s *units.Service) { s.User, s.ReadWritePaths = "a", []string{"/a/"} }},
		{"ReadWritePaths", "/tmp/a", func(s *units.Service) { s.User, s.ReadWritePaths = "a", []string{"/tmp/a"} }},
		{"ReadWritePaths", "/home/a:b", func(s *units.Service) { s.User, s.ReadWritePaths = "a", []string{"/home/a:b"} }},
		{"ReadWritePaths", `/a"b`, func(s *units.Service) { s.User, s.ReadWritePaths = "a", []string{`/a"b`} }},
		{"Devices", "ttyS0", func(s *units.Service) { s.Devices = []string{"ttyS0"} }},
		{"Devices", "/srv/ttyS0", func(s *units.Service) { s.Devices = []string{"/srv/ttyS0"} }},
		{"Settings", "[Socket] A=b", func(s *units.Service) { s.Settings = []units.Setting{{Section: "Socket", Name: "A", Value: "b"}} }},
		{"Settings", "[Service] A\nB=b", func(s *units.Service) { s.Settings = []units.Setting{{Section: "Service", Name: "A\nB", Value: "b"}} }},
		{"Settings", "[Service] A=b\nC=d", func(s *units.Service) { s.Settings = []units.Setting{{Section: "Service", Name: "A", Value: "b\nC=d"}} }},
		{"Settings", "[Service] Environment=HEIRLOOM_UNIT_HASH=1", func(s *units.Service) {
			s.Settings = []units.Setting{{Section: "Service", Name: "Environment", Value: "HEIRLOOM_UNIT_HASH=1"}}
		}},
		{"Name", "a b", func(s *units.Service) { s.Sockets = []units.Socket{{Name: "a b", Addresses: []string{":80"}}} }},
		{"Name", "heirloom", func(s *units.Service) { s.Sockets = []units.Socket{{Name: "heirloom", Addresses: []string{":80"}}} }},
		{"Name", "heirloom-3", func(s *units.Service) { s.Sockets = []units.Socket{{Name: "heirloom-3", Addresses: []string{":80"}}} }},
		{"Name", "a", func(s *units.Service) { s.Sockets = []units.Socket{{Name: "a"}} }},
		{"Name", "a", func(s *units.Service) {
			s.Sockets = []units.Socket{{Name: "a", Addresses: []string{":80"}}, {Name: "a", Addresses: []string{":81"}}}
		}},
		{"Backlog", "-1", func(s *units.Service) {
			s.Sockets = []units.Socket{{Name: "a", Addresses: []string{":80"}, Backlog: -1}}
		}},
		{"Mode", "u---------", func(s *units.Service) {
			s.Sockets = []units.Socket{{Name: "a", Addresses: []string{"/a"}, Mode: os.ModeSetuid}}
		}},
		{"User", "a\nb", func(s *units.Service) {
			s.Sockets = []units.Socket{{Name: "a", Addresses: []string{"/a"}, User: "a\nb"}}
		}},
		{"Group", "a b", func(s *units.Service) {
			s.Sockets = []units.Socket{{Name: "a", Addresses: []string{"/a"}, Group: "a b"}}
		}},
		{"Addresses", "80", func(s *units.Service) { addresses("80")(s) }},
		{"Addresses", "localhost:80", addresses("localhost:80")},
		{"Addresses", "::1:80", addresses("::1:80")},
		{"Addresses", ":0", addresses(":0")},
		{"Addresses", "tcp:/a", addresses("tcp:/a")},
		{"Addresses", "unix:a", addresses("unix:a")},
		{"Addresses", "/a/../b", addresses("/a/../b")},
		{"Addresses", "@", addresses("@")},
		{"Addresses", "@a\nb", addresses("@a\nb")},
		{"Addresses", "/" + strings.Repeat("a", 107), addresses("/" + strings.Repeat("a", 107))},
		{"Addresses", "vsock:a", addresses("vsock:a")},
		{"Addresses", "/run/valid/a", addresses("/run/valid/a")},
		{"Addresses", ":80", func(s *units.Service) { s.Name = "a@"; addresses(":80")(s) }},
		{"Addresses", "/run/a-%j.sock", func(s *units.Service) { s.Name = "a@"; addresses("/run/a-%j.sock")(s) }},
		{"Addresses", "@a-%%i", func(s *units.Service) { s.Name = "a@"; addresses("@a-%%i")(s) }},
		{"Addresses", "/run/a-%%%j", func(s *units.Service) { s.Name = "a@"; addresses("/run/a-%%%j")(s) }},
		{"Addresses", ":81", addresses("[::]:80", ":81", "0.0.0.0:80")},
		{"Addresses", "udp:[::]:80", addresses("[::]:80", "0.0.0.0:80", "udp:[::]:80")},
	} {
		s := units.Service{Name: "valid", Program: "/usr/bin/valid"}
		test.change(&s)
		_, err := s.Render(units.Oldest)
		var invalid *units.Error
		if !errors.Is(err, units.ErrInvalid) || !errors.As(err, &invalid) || invalid.Field != test.field || invalid.Value != test.value {
			t.Errorf("%s %q: %v", test.field, test.value, err)
		} else if text := err.Error(); !strings.Contains(text, test.field) || !strings.Contains(text, test.value) {
			t.Errorf("%s %q: %v", test.field, test.value, err)
		}
	}
	if _, err := (units.Service{Name: "valid", Program: "/usr/bin/valid"}).Render(units.Oldest - 1); !errors.Is(err, units.ErrInvalid) {
		t.Errorf("systemd %d: %v", units.Oldest-1, err)
	}
}

func addresses(list ...string) func(*units.Service) {
	return func(s *units.Service) { s.Sockets = []units.Socket{{Name: "a", Addresses: list}} }
}

// hard are words that are hard to quote.
func hard() []string {
	return []string{`A=1`, `B= a  b `, `C="quoted" 'twice'`, `D=50%% C:\n\x`, "E=tab\there", `F=`, `G=\`, `H=;`, `I=é€`, `J=#`}
}
