package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// A startedCase is a way in which systemd may start a daemon.
type startedCase struct {
	name   string
	lines  string // of its [Service]
	since  sdtest.Version
	inside bool // it is replaced in place
}

var startedCases = []startedCase{
	{name: "plain"},
	{name: "notify-reload", lines: "Type=notify-reload\nExecReload=", since: sdtest.V257},
	{name: "sandbox", lines: "DynamicUser=yes\nPrivateUsers=yes\nProtectProc=invisible\nProcSubset=pid\nProtectSystem=strict\nPrivateTmp=yes"},
	{name: "pids", lines: "PrivatePIDs=yes", since: sdtest.V257, inside: true},
	{name: "exec", lines: "ExecStart=\nExecStart=/bin/sh -c 'exec /usr/bin/daemon'"},
	{name: "old", lines: "ExecStart=\nExecStart=/usr/bin/env -u SYSTEMD_EXEC_PID /usr/bin/daemon"}, // as before systemd 248
	{name: "wrapped", lines: "NotifyAccess=all\nExecStart=\nExecStart=/bin/sh -c '/usr/bin/daemon; exit $$?'"},
	{name: "null", lines: "Type=exec\nExecStart=\nExecStart=/usr/bin/env NOTIFY_SOCKET=/dev/null /usr/bin/daemon", inside: true},
	{name: "silent", lines: "Type=exec\nNotifyAccess=none", inside: true},
	// A supervisor has the socket, and its own main process; systemd listens to
	// all.
	{name: "supervised", inside: true, lines: "Type=exec\nNotifyAccess=none\nExecStart=\n" +
		"ExecStart=/bin/sh -c 'NOTIFY_SOCKET=/run/systemd/notify /usr/bin/daemon; exit $$?'"},
}

// TestStartedBySystemd: under a systemd that goes by MAINPID= a successor is
// started beside the process, whatever the sandbox, and else it is replaced in
// place.
func TestStartedBySystemd(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) { testStarted(t, v) })
	}
}

func testStarted(t *testing.T, v sdtest.Version) {
	m := sdtest.Boot(t, v)
	m.Install(os.Args[0], "/usr/bin/daemon")
	var start []string
	cases := startedOn(v)
	for i, c := range cases {
		unit := strings.NewReplacer(
			"tcp!127.0.0.1:8080", fmt.Sprintf("tcp!127.0.0.1:%d", 9000+i),
			"Sockets=daemon.socket\n", "Environment=HEIRLOOM_TEST_REPLACE=automatic\n",
			"RuntimeDirectory=daemon\n", "RuntimeDirectory="+c.name+"\n",
			"TimeoutStartSec=5s", "TimeoutStartSec=60s",
			"HEIRLOOM_TEST_RELOAD=3s", "HEIRLOOM_TEST_RELOAD=30s",
		).Replace(daemonService)
		m.WriteFile("/etc/systemd/system/"+c.name+".service", unit+c.lines+"\n", 0o644)
		start = append(start, c.name+".service")
	}
	m.MustRun("systemctl", "daemon-reload")
	for _, unit := range start { // one by one: a systemd that is busy may not say in time which its main process is
		m.MustRun("systemctl", "start", unit)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.try(t, m.For(t)) })
	}
	m.MustRun("systemctl", append([]string{"stop"}, start...)...)
	for _, unit := range start {
		if left := m.Processes(unit); len(left) > 0 {
			t.Errorf("%s: processes left: %+v", unit, left)
		}
	}
}

// startedOn returns the cases of a systemd: of those before the newest every
// other, unless nothing may be left out.
func startedOn(v sdtest.Version) (cases []startedCase) {
	for i, c := range startedCases {
		if v >= c.since && (sdtest.Thorough(v) || (i%2 == 0) == (v == sdtest.V252)) {
			cases = append(cases, c)
		}
	}
	return cases
}

func (c startedCase) try(t *testing.T, m *sdtest.Machine) {
	unit := c.name + ".service"
	status := func() (s lifecycle.Status) {
		out, err := m.Run("env", "HEIRLOOM_TEST_ROLE=daemon", "RUNTIME_DIRECTORY=/run/"+c.name, "/usr/bin/daemon", "status", "-json")
		if err == nil {
			err = json.Unmarshal([]byte(out), &s)
		}
		if err != nil {
			t.Fatalf("status: %v: %s", err, out)
		}
		return s
	}
	m.Wait(unit+" to serve", func() bool {
		_, err := m.Run("env", "HEIRLOOM_TEST_ROLE=daemon", "RUNTIME_DIRECTORY=/run/"+c.name, "/usr/bin/daemon", "status")
		return err == nil
	})
	main, pid := m.Property(unit, "MainPID"), status().PID
	for generation := 2; generation < 4; generation++ {
		m.MustRun("systemctl", "reload", unit)
		s := status()
		if s.Generation != generation || (s.PID == pid) != c.inside {
			t.Errorf("after the reload generation %d is process %d, it was %d before", s.Generation, s.PID, pid)
		}
		pid = s.PID
		now := m.Property(unit, "MainPID")
		if (now == main) != c.inside || !c.inside && now != fmt.Sprint(pid) {
			t.Errorf("after the reload the main process is %s, it was %s before, and %d serves", now, main, pid)
		}
		main = now
		if state := m.Property(unit, "SubState"); state != "running" {
			t.Fatalf("SubState=%s", state)
		}
	}
	if n := m.Property(unit, "NRestarts"); n != "0" {
		t.Errorf("NRestarts=%s", n)
	}
}
