package systemd_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/internal/systemd"
)

// quick is how long a refusal may take, as package patience stretches it.
const quick = 200 * time.Millisecond

// TestEndings ends services in all ways, and looks at what they were told and
// at what becomes of their file descriptor store. One machine serves all cases
// of a version.
func TestEndings(t *testing.T) {
	for _, v := range sdtest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			m := sdtest.Boot(t, v)
			m.Install(os.Args[0], "/usr/bin/daemon")
			for _, a := range accounts {
				for _, e := range endings[:a.endings] {
					e.write(m, a)
				}
			}
			writeTimeouts(m, v)
			m.MustRun("systemctl", "daemon-reload")
			for _, a := range accounts {
				if a.endings == len(endings) && !sdtest.Thorough(v) && (a.name == "root") == (v == sdtest.V257) {
					a.endings = few // root and nobody take turns
				}
				if v >= a.since {
					t.Run(a.name, func(t *testing.T) { a.try(t, m.For(t), v) })
				}
			}
			t.Run("timeout", func(t *testing.T) { tryTimeouts(t, m.For(t), v) })
			t.Run("user-manager", func(t *testing.T) { tryUserManager(t, m.For(t), v) })
			t.Run("poweroff", func(t *testing.T) { tryPoweroff(t, m.For(t)) })
		})
	}
}

func (a account) try(t *testing.T, m *sdtest.Machine, v sdtest.Version) {
	var took []time.Duration
	for _, e := range endings[:a.endings] {
		t.Run(e.name, func(t *testing.T) {
			s := service{t, m.For(t), a.name + "-" + e.name}
			fate, found := e.on[v]
			if !found {
				fate = e.fate
			}
			told := e.bring(s)
			s.checkStore(fate)
			took = append(took, told.Took)
			if !a.cannotAsk(v) {
				checkTold(t, told, fate == thrownAway)
			} else if told.Ends || strings.Join(told.Matches, " ") != a.err {
				t.Errorf("told %+v, want an error that is %s", told, a.err)
			}
			s.MustRun("systemctl", "stop", s.name)
		})
	}
	slices.Sort(took)
	t.Logf("asking took %v", took)
	// The machine may be busy now and then.
	if a.cannotAsk(v) && len(took) > 0 && took[0] > patience.Of(quick) {
		t.Errorf("an error took %v at least", took[0])
	}
}

func checkTold(t *testing.T, told report, ends bool) {
	t.Helper()
	if told.Error != "" || told.Ends != ends {
		t.Errorf("told %+v, want Ends:%v", told, ends)
	}
}

// A service is one of the machine, with its name without the suffix.
type service struct {
	t *testing.T
	*sdtest.Machine
	name string
}

func unitFile(name string, settings ...string) string {
	return "[Service]\nType=notify\nExecStart=/usr/bin/daemon\nTimeoutStopSec=20s\nFileDescriptorStoreMax=1\n" +
		"Restart=no\nStandardOutput=append:/run/" + name + ".out\n" +
		"Environment=GORACE=atexit_sleep_ms=0 " + roleVariable + "=daemon\n" + strings.Join(settings, "\n") + "\n"
}

func named(text, name string) string { return strings.ReplaceAll(text, "%u", name) }

func (e ending) write(m *sdtest.Machine, a account) {
	name := a.name + "-" + e.name
	m.WriteFile("/etc/systemd/system/"+name+".service", unitFile(name, a.service, named(e.service, name)), 0o644)
	if e.other != "" {
		m.WriteFile("/etc/systemd/system/"+name+"-other.service", named(e.other, name), 0o644)
	}
}

// bring starts the service, ends it and returns what its process was told.
func (e ending) bring(s service) report {
	s.t.Helper()
	start := e.start
	if start == "" {
		start = "%u"
	}
	for _, command := range append([]string{"systemctl start " + start}, e.end...) {
		if out, err := s.Run("sh", "-c", named(command, s.name)); err != nil {
			s.t.Fatalf("%v\n%s%s", err, out, s.Journal("-u", s.name))
		}
	}
	return s.reports(2)[1]
}

// reports waits until the processes of the service have written n lines.
func (s service) reports(n int) []report {
	s.t.Helper()
	var text []byte
	s.Wait("a report", func() bool {
		text, _ = os.ReadFile(s.Root() + "/run/" + s.name + ".out")
		return bytes.Count(text, []byte("\n")) >= n
	})
	var reports []report
	for line := range bytes.Lines(text) {
		var r report
		if err := json.Unmarshal(line, &r); err != nil {
			s.t.Fatalf("%s: %v", line, err)
		}
		reports = append(reports, r)
	}
	return reports
}

func (s service) checkStore(f fate) {
	s.t.Helper()
	switch f {
	case passedOn, withheld:
		want := map[fate]string{passedOn: "kept", withheld: ""}[f]
		if handed := s.reports(3)[2].Handed; handed != want {
			s.t.Errorf("the next process was handed %q, want %q", handed, want)
		}
	default:
		s.WaitInactive(s.name + ".service")
		want := map[fate]string{thrownAway: "0", lost: "0", kept: "1"}[f]
		if stored := s.Property(s.name+".service", "NFileDescriptorStore"); stored != want {
			s.t.Errorf("%s descriptors in the store, want %s", stored, want)
		}
	}
}

// tryUserManager runs a user's manager as a service, and services in it: one
// tells of its timeout, one is stopped and restarted, and one stops with the
// manager.
func tryUserManager(t *testing.T, m *sdtest.Machine, v sdtest.Version) {
	// The default target of a user would start what packages bring along.
	m.WriteFile("/etc/systemd/system/home.service", "[Service]\nType=notify\nExecStart=/lib/systemd/systemd --user --unit=basic.target\n"+
		"User=nobody\nDelegate=yes\nRuntimeDirectory=home\nKillMode=mixed\nEnvironment=XDG_RUNTIME_DIR=/run/home HOME=/run/home\n", 0o644)
	user, last := service{t, m, "home/user"}, service{t, m, "home/last"}
	for _, s := range []service{user, last} {
		m.WriteFile("/etc/systemd/user/"+strings.TrimPrefix(s.name, "home/")+".service", unitFile(s.name), 0o644)
	}
	m.WriteFile("/etc/systemd/user/timeout.service", timeoutUnit("home/timeout", "TimeoutStopSec=47"), 0o644)
	m.WriteFile("/run/systemd/user/timeout.service.d/10.conf", "[Service]\nTimeoutStopSec=53\n", 0o644)
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", "start", "home")
	systemctl := func(verb, name string) {
		t.Helper()
		m.MustRun("setpriv", "--reuid=nobody", "--clear-groups", "env", "XDG_RUNTIME_DIR=/run/home", "systemctl", "--user", verb, name)
	}
	for _, verb := range []string{"start", "restart", "stop"} {
		systemctl(verb, "user")
	}
	systemctl("start", "timeout")
	checkTimeout(t, service{t, m, "home/timeout"}.timeoutReport(), timeoutCase{
		want: systemd.Timeout{Duration: 53 * time.Second, Source: asks(v)}, path: "/run/systemd/user/timeout.service.d/10.conf"})
	reports := user.reports(4)
	checkTold(t, reports[1], false)
	checkTold(t, reports[3], true)
	systemctl("start", "last")
	// The folder of the service is gone with it.
	out, err := os.Open(m.Root() + "/run/home/last.out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	m.MustRun("systemctl", "stop", "home")
	var r report
	for lines := json.NewDecoder(out); !r.Asked; {
		if err := lines.Decode(&r); err != nil {
			t.Fatal(err)
		}
	}
	checkTold(t, r, true)
}

// tryPoweroff ends the machine. The daemons stay, so that it does.
//
// One that is not root finds the bus gone or going, and is told so at once.
func tryPoweroff(t *testing.T, m *sdtest.Machine) {
	root, nobody := service{t, m, "poweroff-root"}, service{t, m, "poweroff-nobody"}
	stay := "ExecStart=\nExecStart=/usr/bin/daemon stay"
	m.WriteFile("/etc/systemd/system/poweroff-root.service", unitFile(root.name, stay), 0o644)
	m.WriteFile("/etc/systemd/system/poweroff-nobody.service", unitFile(nobody.name, stay, "User=nobody"), 0o644)
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", "start", root.name, nobody.name)
	m.MustRun("systemctl", "poweroff", "--no-block")
	checkTold(t, root.reports(2)[1], true)
	told := nobody.reports(2)[1]
	t.Logf("by the bus: %+v", told)
	if told.Error == "" {
		checkTold(t, told, true)
	} else if slices.Contains(told.Matches, "deadline") {
		t.Errorf("told %+v, want an error at once", told)
	}
}
