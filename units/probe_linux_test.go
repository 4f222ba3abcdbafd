package units_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/units"
)

// probe tells what it was given, and what it can do of what the variables say
// that it shall try.
const probe = `#!/bin/bash
printf 'arg %s\n' "$@"
for name in A B C D E F G H I J; do [ -v "$name" ] && printf 'env %s=%s\n' "$name" "${!name}"; done
printf 'user %s\ngroup %s\n' "$(id -un)" "$(id -gn)"
sed -n 's/^\(Cap\(Eff\|Bnd\)\|NoNewPrivs\|Seccomp\):\t/\1 /p' /proc/self/status
IFS=:
for path in $WRITE $RUNTIME_DIRECTORY $STATE_DIRECTORY $CACHE_DIRECTORY $LOGS_DIRECTORY $CONFIGURATION_DIRECTORY; do
	: 2>/dev/null >"$path/probe" && printf 'writes %s\n' "$path"
done
for path in $SEE; do [ -e "$path" ] && printf 'sees %s\n' "$path"; done
for host in $SEND; do (exec 3>"/dev/udp/$host/8888" && echo >&3) 2>/dev/null && printf 'sends %s\n' "$host"; done
if [ -v CHOWN ]; then : >/tmp/owned && chown daemon /tmp/owned 2>/dev/null && echo chowns; fi
exit 0
`

// A probed is a description, and lines that the probe is to print and not to
// print. What it must not print are beginnings.
type probed struct {
	name      string
	change    func(*units.Service)
	want, not []string
}

var everywhere = []string{"/", "/etc", "/usr", "/var/lib", "/var/log", "/srv", "/run", "/home", "/root", "/dev", "/sys/kernel", "/proc/sys/kernel"}

func probedServices() []probed {
	all := []probed{
		{name: "nothing", change: func(s *units.Service) { s.Description = "nothing" },
			want: []string{"CapEff 0000000000000000", "CapBnd 0000000000000000", "NoNewPrivs 1", "Seccomp 2",
				"writes /tmp", "writes /run/probe-nothing"},
			not: []string{"writes /e", "writes /u", "writes /v", "writes /s", "writes /h", "writes /d", "writes /p", "sees", "sends", "chowns", "user root", "user 0"}},
		{name: "directories", change: func(s *units.Service) {
			s.StateDirectory, s.CacheDirectory = []string{"probed"}, []string{"probed"}
			s.LogsDirectory, s.ConfigurationDirectory = []string{"probed"}, []string{"probed"}
		}, want: []string{"writes /var/lib/probed", "writes /var/cache/probed", "writes /var/log/probed"}, not: []string{"writes /etc"}},
		{name: "paths", change: func(s *units.Service) {
			s.User, s.Group = "prober", "probers"
			s.ReadWritePaths = []string{"/srv/probed a", "/home/prober/b c", "/srv/100%%i", "/srv/kept"}
			s.Environment = append(s.Environment, "SEE=/home/other:/home/prober")
		}, want: []string{"user prober", "group probers", "writes /srv/probed a", "writes /home/prober/b c", "writes /srv/100%i", "sees /home/prober"},
			not: []string{"sees /home/other", "writes /var"}},
		{name: "capabilities", change: func(s *units.Service) { s.Capabilities = []string{"CAP_CHOWN", "CAP_NET_RAW"} },
			want: []string{"CapEff 0000000000002001", "CapBnd 0000000000002001", "chowns"}},
		{name: "local", change: func(s *units.Service) { s.Network = units.LocalNetwork },
			want: []string{"sends 127.0.0.1"}, not: []string{"sends 192"}},
		{name: "any", change: func(s *units.Service) { s.Network, s.User = units.AnyNetwork, "prober" },
			want: []string{"sends 127.0.0.1", "sends 192.0.2.1", "user prober"}},
	}
	words := probed{name: "words", change: func(s *units.Service) {
		s.Args, s.Environment = append(hard(), ";", "", "$$HOME"), append(s.Environment, hard()...)
		s.EnvironmentFiles = []string{"-/nowhere", "/etc/probe environment"}
	}, want: []string{"sees /etc/probe environment", "arg ;", "arg ", "arg $HOME"}}
	for _, word := range hard() {
		word = strings.ReplaceAll(word, "%%", "%")
		words.want = append(words.want, "arg "+word, "env "+word)
	}
	return append(all, words)
}

// testProbe starts a service for each description, and looks at what the
// process gets of what that says.
func testProbe(t *testing.T, m *machine) {
	m.WriteFile("/usr/bin/probe", probe, 0o755)
	m.WriteFile("/etc/probe environment", "SEE=\"/etc/probe environment\"\n", 0o644)
	m.MustRun("mkdir", "-p", "/run/probed", "/home/other", "/etc/probed", "/srv/kept")
	addAddress(t, m)
	all := probedServices()
	start := []string{"start"}
	for _, p := range all {
		s := units.Service{Name: "probe-" + p.name, Program: "/usr/bin/probe", Environment: []string{
			"WRITE=/tmp:" + strings.Join(everywhere, ":") + ":/srv/probed a:/home/prober/b c:/srv/100%%i",
			"SEE=/home/other", "SEND=127.0.0.1:192.0.2.1", "CHOWN=yes",
		}}
		p.change(&s)
		s.Settings = []units.Setting{
			{Section: "Service", Name: "Type", Value: "oneshot"}, {Section: "Service", Name: "Restart", Value: "no"},
			{Section: "Service", Name: "StandardOutput", Value: "truncate:/run/probed/" + p.name},
		}
		m.install(t, s)
		start = append(start, s.Name+".service")
	}
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", start...)
	for _, p := range all {
		out, err := os.ReadFile(filepath.Join(m.Root(), "run/probed", p.name))
		if err != nil {
			t.Error(err)
		}
		p.check(t, string(out))
	}
	const made, found = "prober probers 750\n", "root root 755\n"
	for path, want := range map[string]string{"/srv/probed a": made, "/home/prober/b c": made, "/srv/100%i": made, "/srv/kept": found} {
		if got := m.MustRun("stat", "-c", "%U %G %a", path); got != want {
			t.Errorf("%s is %s", path, got)
		}
	}
}

func (p probed) check(t *testing.T, out string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for _, want := range p.want {
		if !slices.Contains(lines, want) {
			t.Errorf("%s: %q is not in\n%s", p.name, want, out)
		}
	}
	for _, not := range p.not {
		if strings.Contains("\n"+out, "\n"+not) {
			t.Errorf("%s: %q is in\n%s", p.name, not, out)
		}
	}
}

// addAddress gives the loopback interface of the machine an address that is not
// one of localhost.
func addAddress(t *testing.T, m *machine) {
	t.Helper()
	err := m.Inside(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		defer func() { _ = unix.Close(fd) }()
		request, err := unix.NewIfreq("lo:1")
		if err != nil {
			return err
		}
		if err := request.SetInet4Addr([]byte{192, 0, 2, 1}); err != nil {
			return err
		}
		return os.NewSyscallError("ioctl SIOCSIFADDR", unix.IoctlIfreq(fd, unix.SIOCSIFADDR, request))
	})
	if err != nil {
		t.Fatal(err)
	}
}
