package exampletest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// Race returns the arguments of Build with which the program has the race
// detector if the test has it.
func Race() []string {
	if race {
		return []string{"-race"}
	}
	return nil
}

// NoRaceExit is a prepare for Boot: the race detector does not keep the program
// for a second at its end.
func NoRaceExit(m *sdtest.Machine) {
	m.WriteFile("/etc/systemd/system/service.d/race.conf", "[Service]\nEnvironment=GORACE=atexit_sleep_ms=0\n", 0o644)
}

// CheckRunning fails the test unless one process of the service is left, and
// neither systemd nor the race detector has seen anything wrong since the
// machine was booted.
func CheckRunning(t testing.TB, m *sdtest.Machine) {
	t.Helper()
	unit := Name(t) + ".service"
	m.Wait("one process to be left", func() bool { return len(m.Processes(unit)) == 1 })
	for property, want := range map[string]string{
		"ActiveState": "active", "SubState": "running", "Result": "success", "NRestarts": "0",
		"MainPID": strconv.Itoa(m.Processes(unit)[0].PID),
	} {
		if got := m.Property(unit, property); got != want {
			t.Errorf("%s=%s, want %s", property, got, want)
		}
	}
	complaints := []string{"not our child", "reception only permitted", "SIGKILL", "timed out", "panic", "more fds", "DATA RACE"}
	for line := range strings.Lines(m.Journal("-b")) {
		for _, complaint := range complaints {
			if strings.Contains(line, complaint) {
				t.Errorf("journal: %s", line)
			}
		}
	}
}
