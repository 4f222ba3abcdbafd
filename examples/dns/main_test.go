package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

func TestUnits(t *testing.T) { exampletest.CheckUnits(t) }

const zonePath = "/etc/dns/zone"

// testZone is the zone of the tests with this serial number.
func testZone(t *testing.T, serial int) string {
	t.Helper()
	text, err := os.ReadFile("testdata/example.org.zone")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(text), "2026112101", fmt.Sprint(serial), 1)
}

// TestReplace publishes zones and restarts the server while dnsperf asks it.
func TestReplace(t *testing.T) {
	for _, v := range exampletest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			m := exampletest.Boot(t, v, exampletest.Build(t, exampletest.Race()...), func(m *sdtest.Machine) {
				exampletest.NoRaceExit(m)
				m.WriteFile(zonePath, testZone(t, 1), 0o644)
			})
			if v == sdtest.V262 {
				t.Run("answers", func(t *testing.T) { testAnswers(t, m) })
				t.Run("beginnings", func(t *testing.T) { testBeginnings(t, m) })
			}
			udp, tcp := ask(t, m, "-m", "udp", "-c", "4"), ask(t, m, "-m", "tcp", "-c", "4")
			serial := 1
			for range sdtest.Rounds(v, 4) {
				for _, how := range []string{"reload", "restart"} {
					udp.mustAdvance()
					tcp.mustAdvance()
					serial++
					m.WriteFile(zonePath, testZone(t, serial), 0o644)
					m.MustRun("systemctl", how, "dns.service")
					if got := dig(t, m, "@127.0.0.1", "+short", "example.org", "SOA"); !strings.Contains(got, fmt.Sprintf(" %d 7200 ", serial)) {
						t.Errorf("after the %s to serial %d: %s", how, serial, got)
					}
				}
			}
			refuse(t, m)
			judge(udp, tcp)
			exampletest.CheckRunning(t, m)
			m.MustRun("systemctl", "stop", "dns.service")
			if result := m.Property("dns.service", "Result"); result != "success" {
				t.Errorf("result of the stop is %s", result)
			}
		})
	}
}

// refuse publishes a zone that is none.
func refuse(t *testing.T, m *sdtest.Machine) {
	t.Helper()
	before := status(t, m)
	m.WriteFile(zonePath, testZone(t, 99)+"www IN CNAME ftp\n", 0o644)
	if out, err := m.Run("systemctl", "reload", "dns.service"); err == nil {
		t.Errorf("the reload succeeded: %s", out)
	}
	after := status(t, m)
	if after.PID != before.PID || after.LastReload == nil || !strings.Contains(after.LastReload.Reason, "a name with a CNAME record has no other") {
		t.Errorf("status is %+v, last reload %+v", after, after.LastReload)
	}
	if out, err := m.Run("dns", "check"); err == nil || !strings.Contains(out, "has no other") {
		t.Errorf("dns check answers %s, %v", out, err)
	}
	if got := dig(t, m, "@127.0.0.1", "+short", "example.org", "SOA"); strings.Contains(got, " 99 ") {
		t.Errorf("the bad zone is served: %s", got)
	}
	m.WriteFile(zonePath, testZone(t, 100), 0o644)
	m.MustRun("dns", "check")
	m.MustRun("systemctl", "reload", "dns.service")
}

func status(t *testing.T, m *sdtest.Machine) lifecycle.Status {
	t.Helper()
	var s lifecycle.Status
	if err := json.Unmarshal([]byte(m.MustRun("dns", "status", "-json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}
