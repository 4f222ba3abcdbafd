package systemd_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/internal/systemd"
)

// A timeoutReport is what a process says of its stop timeout.
type timeoutReport struct {
	systemd.Timeout

	Error   string
	Matches []string
	Took    time.Duration

	Read      systemd.Timeout // by the files alone
	ReadError string
}

func init() {
	roles["timeout"] = func() error { return json.NewEncoder(os.Stdout).Encode(askTimeout()) }
}

func askTimeout() timeoutReport {
	ctx, cancel := patience.Context(context.Background(), 30*time.Second)
	defer cancel()
	var r timeoutReport
	var err error
	began := time.Now()
	if r.Timeout, err = systemd.Patiently(ctx); err != nil {
		r.Error, r.Matches = err.Error(), matches(err)
	}
	r.Took = time.Since(began)
	if r.Read, err = systemd.Read(); err != nil {
		r.ReadError = err.Error()
	}
	return r
}

// timeoutUnit is a service that tells of its timeout and ends.
func timeoutUnit(name string, lines ...string) string {
	return "[Service]\nType=oneshot\nExecStart=/usr/bin/daemon\nStandardOutput=file:/run/" + name + ".out\n" +
		"Environment=GORACE=atexit_sleep_ms=0 " + roleVariable + "=timeout " + systemd.StopTimeoutVariable + "=59s\n" +
		named(strings.Join(lines, "\n"), name) + "\n"
}

func (c timeoutCase) write(m *sdtest.Machine, prefix string) {
	name := prefix + c.name
	if !strings.Contains(name, "@") {
		m.WriteFile("/etc/systemd/system/"+name+".service", timeoutUnit(name, c.service), 0o644)
	}
	for path, text := range c.files {
		m.WriteFile(named(path, name), text, 0o644)
	}
}

// writeTimeouts writes all there is to be read before the manager reads it.
func writeTimeouts(m *sdtest.Machine, v sdtest.Version) {
	for _, c := range values {
		c.write(m, "")
	}
	m.WriteFile("/etc/systemd/system/templ@.service", timeoutUnit("%i", "TimeoutStopSec=47"), 0o644)
	m.WriteFile("/etc/systemd/system/service.d/00.conf", "[Service]\nTimeoutStartSec=40\n", 0o644)
	m.WriteFile("/etc/systemd/system.conf.d/10.conf", "[Manager]\nDefaultTimeoutStopSec=7\n", 0o644)
	m.WriteFile("/run/systemd/system.conf.d/20.conf", "[Manager]\nDefaultTimeoutStopSec=33\n", 0o644)
	m.WriteFile("/srv/root/etc/nothing", "", 0o644)
	for _, c := range sandboxes {
		c.service = "TimeoutStopSec=47\n" + c.service
		c.files = drops("/etc/systemd/system/%u.service.d/10.conf 53")
		c.write(m, "box-")
	}
}

func tryTimeouts(t *testing.T, m *sdtest.Machine, v sdtest.Version) {
	t.Run("value", func(t *testing.T) { tryValues(t, m.For(t), v) })
	t.Run("sandbox", func(t *testing.T) { trySandboxes(t, m.For(t), v) })
	t.Run("transient", func(t *testing.T) { tryTransient(t, m.For(t), v) })
	t.Run("not-reloaded", func(t *testing.T) { tryNotReloaded(t, m.For(t), v) })
	t.Run("no-unit", func(t *testing.T) { tryNoUnit(t, m.For(t)) })
}

func tryValues(t *testing.T, m *sdtest.Machine, v sdtest.Version) {
	var units []string
	for _, c := range values {
		units = append(units, c.name+".service")
	}
	m.MustRun("systemctl", append([]string{"start"}, units...)...)
	for _, c := range values {
		t.Run(c.name, func(t *testing.T) {
			c.want.Source = asks(v)
			if c.path == "" {
				c.path = "/etc/systemd/system/%u.service"
			}
			c.path = named(c.path, c.name)
			checkTimeout(t, service{t, m.For(t), c.name}.timeoutReport(), c)
		})
	}
}

func trySandboxes(t *testing.T, m *sdtest.Machine, v sdtest.Version) {
	start := []string{"start"}
	for _, c := range sandboxes {
		if v >= c.since {
			start = append(start, "box-"+c.name+".service")
		}
	}
	m.MustRun("systemctl", start...)
	for _, c := range sandboxes {
		if v < c.since {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			source, found := c.on[v]
			switch {
			case found:
				c.want.Source = source
			case c.want.Source == "":
				c.want.Source = asks(v)
			}
			c.want.Duration, c.path = 53*time.Second, "/etc/systemd/system/box-"+c.name+".service.d/10.conf"
			if c.want.Source == systemd.Environment {
				c.want.Duration = 59 * time.Second
			}
			checkTimeout(t, service{t, m.For(t), "box-" + c.name}.timeoutReport(), c)
		})
	}
}

// tryTransient has systemd write the file.
func tryTransient(t *testing.T, m *sdtest.Machine, v sdtest.Version) {
	m.MustRun("systemd-run", "--wait", "--unit=transient", "-p", "TimeoutStopSec=53", "-p", "StandardOutput=file:/run/transient.out",
		"-E", roleVariable+"=timeout", "-E", "GORACE=atexit_sleep_ms=0", "/usr/bin/daemon")
	want := seconds(53)
	want.Source = asks(v)
	checkTimeout(t, service{t, m, "transient"}.timeoutReport(), timeoutCase{want: want, path: "/run/systemd/transient/transient.service"})
}

// tryNotReloaded changes a file of a unit that the manager has read.
func tryNotReloaded(t *testing.T, m *sdtest.Machine, v sdtest.Version) {
	// What is kept in memory is a unit that runs.
	m.WriteFile("/etc/systemd/system/changed.service", timeoutUnit("changed", "RemainAfterExit=yes", "TimeoutStopSec=47",
		"ExecReload=/usr/bin/daemon", "ExecReload=/bin/true"), 0o644)
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", "start", "changed")
	s := service{t, m, "changed"}
	path := "/run/systemd/system/changed.service.d/override.conf"
	m.WriteFile(path, "[Service]\nTimeoutStopSec=53\n", 0o644)
	for _, want := range []int{47, 53} {
		m.MustRun("systemctl", "reload", "changed")
		r := s.timeoutReport()
		if r.Source != asks(v) || r.Duration != time.Duration(want)*time.Second {
			t.Errorf("told %+v, want %d s", r, want)
		}
		if r.Read != (systemd.Timeout{Duration: 53 * time.Second, Source: systemd.UnitFile, Detail: path}) {
			t.Errorf("read %+v, want 53 s", r.Read)
		}
		m.MustRun("systemctl", "daemon-reload")
	}
}

// tryNoUnit asks from a scope, and from nothing of systemd's.
func tryNoUnit(t *testing.T, m *sdtest.Machine) {
	env := []string{"env", roleVariable + "=timeout", "GORACE=atexit_sleep_ms=0", "/usr/bin/daemon"}
	scope := append([]string{"systemd-run", "--scope", "--quiet"}, env...)
	set := append([]string{"env", systemd.StopTimeoutVariable + "=59"}, env...)
	for _, command := range [][]string{env, scope, set} {
		var r timeoutReport
		if err := json.Unmarshal([]byte(m.MustRun(command[0], command[1:]...)), &r); err != nil {
			t.Fatal(err)
		}
		if command[1] == set[1] {
			if want := (systemd.Timeout{Duration: 59 * time.Second, Source: systemd.Environment, Detail: systemd.StopTimeoutVariable}); r.Timeout != want {
				t.Errorf("told %+v, want %+v", r, want)
			}
		} else if strings.Join(r.Matches, " ") != "no-unit" || r.Timeout != (systemd.Timeout{}) {
			t.Errorf("%v: told %+v, want ErrNoUnit", command, r)
		}
	}
}

// timeoutReport reads what the service's latest process has written. It has
// ended.
func (s service) timeoutReport() timeoutReport {
	s.t.Helper()
	name := s.name
	if _, instance, found := strings.Cut(name, "@"); found {
		name = instance
	}
	text, err := os.ReadFile(filepath.Join(s.Root(), "run", name+".out"))
	if err != nil {
		s.t.Fatal(err)
	}
	var r timeoutReport
	if err := json.Unmarshal(text, &r); err != nil {
		s.t.Fatalf("%s: %v", text, err)
	}
	return r
}

func checkTimeout(t *testing.T, r timeoutReport, c timeoutCase) {
	t.Helper()
	if c.unread == (r.ReadError == "") {
		t.Errorf("read %+v, error %v", r.Read, r.ReadError)
	}
	if c.err != "" {
		if got := strings.Join(r.Matches, " "); got != c.err || r.Timeout != (systemd.Timeout{}) {
			t.Errorf("told %+v, error %s is %s, want %s", r.Timeout, r.Error, got, c.err)
		}
		return
	}
	if got := (systemd.Timeout{Duration: r.Duration, Infinite: r.Infinite, Source: r.Source}); got != c.want || r.Detail == "" {
		t.Errorf("told %+v %s, want %+v", r.Timeout, r.Error, c.want)
	}
	if c.unread {
		return
	}
	want := systemd.Timeout{Duration: c.want.Duration, Infinite: c.want.Infinite, Source: systemd.UnitFile, Detail: c.path}
	if r.Read != want {
		t.Errorf("read %+v, want %+v", r.Read, want)
	}
}
