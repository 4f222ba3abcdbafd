package units_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/units"
)

// lively tells by what it is signalled, and ends with the exit status 7. Its
// child ends with it, or is left.
const lively = `#!/bin/bash
trap 'echo TERM >>/run/live-$1; exit 7' TERM
trap 'echo USR1 >>/run/live-$1; exit 7' USR1
[ "$1" = stubborn ] && trap '' TERM
sleep infinity &
: >/run/live-$1
while :; do wait; done
`

const liveTemplate = `[Service]
Type=exec
ExecStart=/usr/bin/lively %i
TimeoutStopSec=1h
`

// liveSettings are changes of settings that Hash leaves out.
const liveSettings = `ExecReload=/usr/bin/touch /run/live-reloaded
ExecStop=/usr/bin/touch /run/live-ExecStop
ExecStopPost=/usr/bin/touch /run/live-ExecStopPost
KillSignal=USR1
SuccessExitStatus=7
`

// changes are drop-ins, by the instance of the template that each is for.
var changes = map[string]struct {
	added string
	check func(t *testing.T, m *machine, unit string)
}{
	"stopped":  {liveSettings, checkStopped},
	"stubborn": {"TimeoutStopSec=10ms\nSendSIGKILL=yes\nFinalKillSignal=KILL\n", checkKilled},
	"killed":   {"Restart=on-failure\nRestartSec=1ms\n", checkRestarted},
	"left":     {"KillMode=process\n", checkLeft},
	"started":  {"Environment=CHANGED=yes\nLimitNOFILE=1000\nUMask=0123\n", checkStarted},
}

// testLive changes the units of services that run. What a daemon-reload applies
// is not in the hash, and what it does not apply is.
func testLive(t *testing.T, m *machine) {
	m.WriteFile("/usr/bin/lively", lively, 0o755)
	m.WriteFile("/etc/systemd/system/live@.service", liveTemplate, 0o644)
	m.MustRun("systemctl", "daemon-reload")
	start := []string{"start"}
	for instance := range changes {
		start = append(start, "live@"+instance+".service")
	}
	m.MustRun("systemctl", start...)
	for instance, change := range changes {
		m.Wait("the service to be ready", func() bool { return there(m, "live-"+instance) })
		before, after := hash(liveTemplate), hash(liveTemplate+change.added)
		if live := instance != "started"; live != (before == after) {
			t.Errorf("%s: the hash is %s before and %s after the change", instance, before, after)
		}
		m.WriteFile("/etc/systemd/system/live@"+instance+".service.d/changed.conf", "[Service]\n"+change.added, 0o644)
	}
	m.MustRun("systemctl", "daemon-reload")
	for instance, change := range changes {
		change.check(t, m, "live@"+instance+".service")
	}
}

func hash(text string) string {
	hash, _ := units.Hash(text)
	return hash
}

func there(m *machine, name string) bool {
	_, err := os.Stat(filepath.Join(m.Root(), "run", name))
	return err == nil
}

func checkStopped(t *testing.T, m *machine, unit string) {
	m.MustRun("systemctl", "reload", unit)
	m.MustRun("systemctl", "stop", unit)
	for _, name := range []string{"live-reloaded", "live-ExecStop", "live-ExecStopPost"} {
		if !there(m, name) {
			t.Errorf("there is no %s", name)
		}
	}
	if got := m.MustRun("cat", "/run/live-stopped"); got != "USR1\n" {
		t.Errorf("the service was stopped by %s", got)
	}
	if result := m.Property(unit, "Result"); result != "success" {
		t.Errorf("Result=%s", result)
	}
}

func checkKilled(t *testing.T, m *machine, unit string) {
	m.MustRun("systemctl", "stop", unit)
	if result := m.Property(unit, "Result"); result != "timeout" {
		t.Errorf("Result=%s", result)
	}
}

func checkRestarted(_ *testing.T, m *machine, unit string) {
	m.MustRun("systemctl", "kill", "--kill-whom=main", "--signal=KILL", unit)
	m.Wait("a restart", func() bool { return m.Property(unit, "NRestarts") == "1" })
}

func checkLeft(t *testing.T, m *machine, unit string) {
	m.MustRun("systemctl", "stop", unit)
	if left := m.Processes(unit); len(left) != 1 {
		t.Errorf("processes left: %v", left)
	}
}

func checkStarted(t *testing.T, m *machine, unit string) {
	main := m.Property(unit, "MainPID")
	text := m.MustRun("cat", "/proc/"+main+"/limits", "/proc/"+main+"/status", "/proc/"+main+"/environ")
	for _, changed := range []string{"CHANGED=yes", "Umask:\t0123"} {
		if strings.Contains(text, changed) {
			t.Errorf("the process has %s", changed)
		}
	}
}
