package units_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/units"
)

// TestSystemd has each systemd read what is rendered, and run it. There is one
// machine for all of it.
func TestSystemd(t *testing.T) {
	for _, v := range sdtest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			m := &machine{Machine: sdtest.Boot(t, v), version: v}
			for name, test := range map[string]func(*testing.T, *machine){
				"verify": testVerify, "security": testSecurity, "probe": testProbe, "live": testLive, "addresses": testAddresses,
			} {
				t.Run(name, func(t *testing.T) { test(t, &machine{Machine: m.For(t), version: v}) })
			}
		})
	}
}

type machine struct {
	*sdtest.Machine
	version sdtest.Version
}

// install renders a service and puts all its files where they belong, as
// packages do. It returns the paths of the units.
func (m *machine) install(t *testing.T, s units.Service) []string {
	t.Helper()
	files, err := s.Render(int(m.version))
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, file := range files {
		m.WriteFile(file.Path, file.Text, file.Mode)
		quiet := ""
		switch path.Dir(file.Path) {
		case "/usr/lib/sysusers.d":
			m.MustRun("systemd-sysusers", path.Base(file.Path))
		case "/usr/lib/tmpfiles.d":
			quiet = m.MustRun("systemd-tmpfiles", "--create", path.Base(file.Path))
		default:
			paths = append(paths, file.Path)
		}
		if quiet != "" {
			t.Errorf("%s: %s", file.Path, quiet)
		}
	}
	return paths
}

const program = "/usr/bin/true"

// described are services that differ from the simplest one in one thing each,
// by what that is.
func described(v sdtest.Version) map[string]func(*units.Service) {
	all := map[string]func(*units.Service){
		"none":  func(*units.Service) {},
		"local": func(s *units.Service) { s.Network = units.LocalNetwork },
		"any":   func(s *units.Service) { s.Network = units.AnyNetwork },
		"described": func(s *units.Service) {
			s.Description, s.Documentation = `50%% of "all" \o/`, []string{"https://example.org/a"}
		},
		"user":  func(s *units.Service) { s.User = "hello" },
		"group": func(s *units.Service) { s.User, s.Group = "hello", "hellos" },
		"capabilities": func(s *units.Service) {
			s.Capabilities = []string{"CAP_NET_RAW", "CAP_SYS_TIME", "CAP_CHOWN", "CAP_SYS_ADMIN"}
		},
		"devices":     func(s *units.Service) { s.Devices = []string{"/dev/null", "/dev/ttyS0"} },
		"directories": allDirectories,
		"paths": func(s *units.Service) {
			s.User, s.ReadWritePaths = "hello", []string{"/srv/a b", "/home/a b", "/srv/%%n"}
		},
		"calls": func(s *units.Service) { s.SystemCalls, s.ExecutableMemory = []string{"@mount", "bpf"}, true },
		"times": func(s *units.Service) {
			s.StopTimeout, s.ReloadTimeout, s.StartTimeout = 1500*time.Millisecond, 7*time.Microsecond, time.Hour
		},
		"watchdog": func(s *units.Service) { s.Watchdog = 10 * time.Second },
		"limits":   func(s *units.Service) { s.Memory, s.Tasks, s.Descriptors, s.StoredDescriptors = 1<<30, 50, 1000, 9 },
		"environment": func(s *units.Service) {
			s.Environment = hard()
			s.EnvironmentFiles = []string{"-/etc/default/hello", "/etc/a b"}
		},
		"arguments":       func(s *units.Service) { s.Args, s.ReloadArgs = hard(), hard() },
		"settings":        func(s *units.Service) { s.Settings = []units.Setting{{Section: "Service", Name: "Nice", Value: "5"}} },
		"template":        template,
		"socket":          addresses("tcp:127.0.0.1:8080", ":8081", "[::1]:8082", "[::]:8083"),
		"socket-udp":      addresses("udp:127.0.0.1:53", "udp::54", "udp:[::1]:55"),
		"socket-unix":     addresses("/run/a b.sock", "unix:/run/hello.sock", "unixgram:/run/g", "unixpacket:/run/p", "@abstract", "unix:@%n"),
		"socket-vsock":    addresses("vsock:8080"),
		"socket-settings": socketSettings,
	}
	if v >= sdtest.V257 {
		all["notify-reload"] = func(s *units.Service) { s.NotifyReload = true }
	}
	return all
}

func allDirectories(s *units.Service) {
	s.StateDirectory, s.CacheDirectory = []string{"hello", "hello/more"}, []string{"hello"}
	s.LogsDirectory, s.ConfigurationDirectory = []string{"hello"}, []string{"hello"}
}

func template(s *units.Service) {
	s.Name += "@"
	s.User, s.ReadWritePaths = "hello", []string{"/srv/hello/%i"}
	s.Args, s.StateDirectory = []string{"%i"}, []string{"hello-%i"}
	s.Sockets = []units.Socket{
		{Name: "http", Addresses: []string{"127.0.0.1:%i"}},
		{Name: "admin", Addresses: []string{"/run/hello-%i.sock"}},
	}
}

func socketSettings(s *units.Service) {
	s.Sockets = []units.Socket{
		{Name: "a", Addresses: []string{"192.0.2.1:80"}, Backlog: 10, FreeBind: true},
		{Name: "b.c_d-e", Addresses: []string{"/run/b"}, Mode: 0o600, User: "daemon", Group: "daemon"},
		{Name: "d", Addresses: []string{":99"}, Settings: []units.Setting{{Section: "Socket", Name: "NoDelay", Value: "yes"}}},
	}
}

func simple(name string) units.Service { return units.Service{Name: name, Program: program} }

// testVerify has systemd-analyze find nothing to say.
func testVerify(t *testing.T, m *machine) {
	all := described(m.version)
	for _, scope := range []units.Scope{units.System, units.User} {
		var paths []string
		for _, name := range slices.Sorted(maps.Keys(all)) {
			s := simple("verify-" + name)
			all[name](&s)
			if scope == units.User {
				s.Scope = scope
				if s.User != "" || s.Devices != nil || s.Capabilities != nil {
					continue
				}
			}
			paths = append(paths, m.install(t, s)...)
		}
		for i := range paths {
			paths[i] = strings.Replace(paths[i], "@.", "@8080.", 1)
		}
		out, err := m.Run("env", append([]string{"XDG_RUNTIME_DIR=/run", "systemd-analyze", "--" + string(scope), "verify"}, paths...)...)
		if err != nil || out != "" {
			t.Errorf("systemd-analyze verify of %s:\n%s", scope, out)
		}
	}
}

// testSecurity compares the exposure with what is promised, in tenths.
func testSecurity(t *testing.T, m *machine) {
	for threshold, changes := range map[int][]func(*units.Service){
		2:  {func(*units.Service) {}, allDirectories},
		15: {func(s *units.Service) { s.Network, s.User = units.AnyNetwork, "hello" }},
	} {
		for i, change := range changes {
			s := simple(fmt.Sprintf("security-%d-%d", threshold, i))
			change(&s)
			out, err := m.Run("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold="+strconv.Itoa(threshold), m.install(t, s)[0])
			if err != nil {
				t.Errorf("more exposed than %d tenths: %v\n%s", threshold, err, exposed(out))
			}
		}
	}
}

// exposed are the lines that say by what, and how much in all.
func exposed(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "✓") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
