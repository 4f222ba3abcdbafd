package units_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/units"
)

// TestHash changes each field of a description: the hash changes with what only
// a new start applies.
func TestHash(t *testing.T) {
	describe := func() units.Service {
		return units.Service{
			Name: "hello", Program: "/usr/bin/hello", User: "hello",
			Sockets:     []units.Socket{{Name: "http", Addresses: []string{":8080"}}},
			Environment: []string{"A=1", "B=2"},
		}
	}
	live := map[string]func(*units.Service){
		"Description":       func(s *units.Service) { s.Description = "hello" },
		"Documentation":     func(s *units.Service) { s.Documentation = []string{"man:hello(8)"} },
		"ReloadArgs":        func(s *units.Service) { s.ReloadArgs = []string{"-v", "reload"} },
		"StopTimeout":       func(s *units.Service) { s.StopTimeout = time.Second },
		"ReloadTimeout":     func(s *units.Service) { s.ReloadTimeout = time.Second },
		"StartTimeout":      func(s *units.Service) { s.StartTimeout = time.Minute },
		"StoredDescriptors": func(s *units.Service) { s.StoredDescriptors = 10 },
	}
	anew := map[string]func(*units.Service){
		"Name":         func(s *units.Service) { s.Name = "other" },
		"Program":      func(s *units.Service) { s.Program = "/usr/sbin/hello" },
		"Args":         func(s *units.Service) { s.Args = []string{"-v"} },
		"NotifyReload": func(s *units.Service) { s.NotifyReload = true },
		"Sockets": func(s *units.Service) {
			s.Sockets = append(s.Sockets, units.Socket{Name: "b", Addresses: []string{":1"}})
		},
		"Watchdog":               func(s *units.Service) { s.Watchdog = time.Second },
		"User":                   func(s *units.Service) { s.User = "" },
		"Group":                  func(s *units.Service) { s.Group = "hellos" },
		"Scope":                  func(s *units.Service) { s.Scope, s.User = units.User, "" },
		"Network":                func(s *units.Service) { s.Network = units.AnyNetwork },
		"StateDirectory":         func(s *units.Service) { s.StateDirectory = []string{"hello"} },
		"CacheDirectory":         func(s *units.Service) { s.CacheDirectory = []string{"hello"} },
		"LogsDirectory":          func(s *units.Service) { s.LogsDirectory = []string{"hello"} },
		"ConfigurationDirectory": func(s *units.Service) { s.ConfigurationDirectory = []string{"hello"} },
		"ReadWritePaths":         func(s *units.Service) { s.ReadWritePaths = []string{"/srv/hello"} },
		"Devices":                func(s *units.Service) { s.Devices = []string{"/dev/ttyS0"} },
		"Capabilities":           func(s *units.Service) { s.Capabilities = []string{"CAP_NET_RAW"} },
		"SystemCalls":            func(s *units.Service) { s.SystemCalls = []string{"bpf"} },
		"ExecutableMemory":       func(s *units.Service) { s.ExecutableMemory = true },
		"Environment":            func(s *units.Service) { slices.Reverse(s.Environment) }, // the last one of a name counts
		"EnvironmentFiles":       func(s *units.Service) { s.EnvironmentFiles = []string{"/etc/default/hello"} },
		"Memory":                 func(s *units.Service) { s.Memory = 1 << 30 },
		"Tasks":                  func(s *units.Service) { s.Tasks = 10 },
		"Descriptors":            func(s *units.Service) { s.Descriptors = 1000 },
		"Settings": func(s *units.Service) {
			s.Settings = []units.Setting{{Section: "Service", Name: "Nice", Value: "\t5 "}}
		},
	}
	before := renderedHash(t, describe())
	for _, field := range reflect.VisibleFields(reflect.TypeFor[units.Service]()) {
		change, isLive := live[field.Name]
		if !isLive {
			change = anew[field.Name]
		}
		if change == nil {
			t.Errorf("no change of %s is tried", field.Name)
			continue
		}
		s := describe()
		change(&s)
		if after := renderedHash(t, s); (after == before) != isLive {
			t.Errorf("%s: the hash is %s after the change, and was %s", field.Name, after, before)
		}
	}
}

// renderedHash is the one that the unit holds, and has.
func renderedHash(t *testing.T, s units.Service) string {
	t.Helper()
	files, err := s.Render(262)
	if err != nil {
		t.Fatal(err)
	}
	hash, held := units.Hash(files[0].Text)
	if hash != held || len(hash) != 16 {
		t.Errorf("the unit of %s has the hash %q, and holds %q", s.Name, hash, held)
	}
	return hash
}

// TestHashOfText has the hash tell apart settings, and not how they are
// written.
func TestHashOfText(t *testing.T) {
	const text = "[Unit]\nDescription=a\n[Service]\nExecStart=/bin/a b\nEnvironment=A=1\nKillMode=process\n"
	want, held := units.Hash(text)
	if held != "" {
		t.Errorf("it holds %q", held)
	}
	for _, test := range []struct {
		text string
		same bool
	}{
		{"[Service]\nExecStart = /bin/a b\n# no\nEnvironment=A=1", true},
		{"[Service]\nExecStart=/bin/a \\\nb\n\nEnvironment=A=1\n[Install]\nAlias=c\n", false}, // two blanks, which systemd would not mind
		{"[Service]\nEnvironment=A=1\nExecStart=/bin/a b\n", false},                           // the order counts in lists
		{"[Service]\nExecStart=/bin/a b\n", false},
		{"[Service]\nExecStart=/bin/a b\nEnvironment=A=2", false},
	} {
		if got, _ := units.Hash(test.text); (got == want) != test.same {
			t.Errorf("%q has %s, and %q %s", text, want, test.text, got)
		}
	}
}

// TestHashOfComments has the same hash with the comments of a rendered unit and
// without: an upgrade that brings others is a reload.
func TestHashOfComments(t *testing.T) {
	files, err := whole.Render(262)
	if err != nil {
		t.Fatal(err)
	}
	var bare []string
	for line := range strings.Lines(files[0].Text) {
		if !strings.HasPrefix(line, "#") {
			bare = append(bare, line)
		}
	}
	with, _ := units.Hash(files[0].Text)
	without, held := units.Hash(strings.Join(bare, ""))
	if with != without || with != held {
		t.Errorf("%s with comments, %s without, and the unit holds %s", with, without, held)
	}
	if want := 9; strings.Count(files[0].Text, "\n# ")+1 != want {
		t.Errorf("there are not %d comments in\n%s", want, files[0].Text)
	}
}

// TestHashOfIgnored has settings that systemd ignores change nothing.
func TestHashOfIgnored(t *testing.T) {
	text := "[Service]\nExecStart=/usr/bin/hello\n"
	before, _ := units.Hash(text)
	if after, _ := units.Hash(text + "X-Heirloom-Ignore=kill-mode\n"); after != before {
		t.Error("X-Heirloom-Ignore= changes the hash")
	}
	if after, _ := units.Hash(text + "XNice=5\n"); after == before {
		t.Error("XNice= does not change the hash")
	}
}
