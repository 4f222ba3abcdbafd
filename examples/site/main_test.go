package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

func TestUnits(t *testing.T) { exampletest.CheckUnits(t) }

const (
	configPath = "/etc/site/site.json"
	testConfig = `{
	"files": "/srv/www",
	"certificate": "/etc/site/cert.pem",
	"key": "/etc/site/key.pem",
	"notice": "/etc/site/notice",
	"notice_every": "100ms",
	"access_log": "/var/log/site/access.log",
	"headers": {"Referrer-Policy": "same-origin"}
}
`
)

// TestReplace publishes certificates and restarts the server while it is used
// by clients of each kind.
func TestReplace(t *testing.T) {
	for _, v := range exampletest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			certified := newAuthority(t)
			m := exampletest.Boot(t, v, exampletest.Build(t, exampletest.Race()...), func(m *sdtest.Machine) {
				exampletest.NoRaceExit(m)
				writeSite(m)
				certified.renew(m)
			})
			l := start(t, m, everybody(m, "--cacert", certified.path))
			session := newSession(certified)
			session.resume(m, false)
			generation := 1
			for range sdtest.Rounds(v, 3) {
				for _, how := range []string{"reload", "restart"} {
					l.mustAdvance(generation)
					certified.renew(m)
					if how == "reload" { // as logrotate does
						m.MustRun("mv", logPath, fmt.Sprintf("%s.%d", logPath, certified.serial))
					}
					m.MustRun("systemctl", how, "site.service")
					generation++
					certified.isShown(m)
					session.resume(m, true)
				}
			}
			l.mustAdvance(generation)
			testNotice(t, m)
			testRefused(t, m)
			l.finish()
			exampletest.CheckRunning(t, m)
			m.MustRun("systemctl", "stop", "site.service")
			if result := m.Property("site.service", "Result"); result != "success" {
				t.Errorf("result of the stop is %s", result)
			}
			l.judgeLog(1 + sdtest.Rounds(v, 3))
		})
	}
}

// writeSite writes what an administrator does.
func writeSite(m *sdtest.Machine) {
	for _, name := range []string{"index.html", "site.css", "notice.js"} {
		m.Install(filepath.Join("www", name), "/srv/www/"+name)
	}
	m.WriteFile(configPath, testConfig, 0o644)
}

// testNotice changes the notice, which visitors learn without a reload.
func testNotice(t *testing.T, m *sdtest.Machine) {
	events := exampletest.Command(t, m, "curl", "-skN", "https://127.0.0.1/events")
	out, err := events.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := events.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = events.Process.Kill()
		_ = events.Wait()
	}()
	m.WriteFile("/etc/site/notice", "Back at <noon>.\n", 0o644)
	var seen strings.Builder
	for buf := make([]byte, 1000); !strings.Contains(seen.String(), `data: "Back at \u003cnoon\u003e."`); {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, &seen)
		}
		seen.Write(buf[:n])
	}
	if page := fetch(t, m, "https://127.0.0.1/about"); !strings.Contains(page, "Back at &lt;noon&gt;.") {
		t.Errorf("the page is\n%s", page)
	}
	forged := []string{"-H", "X-Forwarded-For: 9.9.9.9, 203.0.113.7", "-H", "X-Forwarded-Proto: http"}
	if page := fetch(t, m, append(forged, "https://127.0.0.1/about")...); !strings.Contains(page, "127.0.0.1, by https, HTTP/2.0") {
		t.Errorf("a client without a proxy is believed:\n%s", page)
	}
	forged = append(forged, "--unix-socket", filepath.Join(m.Root(), proxyPath), "http://example.org/about")
	if page := fetch(t, m, forged...); !strings.Contains(page, "203.0.113.7, by http, HTTP/1.1") {
		t.Errorf("the proxy is not believed:\n%s", page)
	}
}

// fetch is curl.
func fetch(t *testing.T, m *sdtest.Machine, args ...string) string {
	t.Helper()
	out, err := exampletest.Command(t, m, "curl", append([]string{"-sSk", "--fail"}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("curl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// testRefused publishes what cannot be meant, and what cannot be served.
func testRefused(t *testing.T, m *sdtest.Machine) {
	before := status(t, m)
	for _, tt := range []struct{ from, to, want string }{
		{`"headers"`, `"colour": "red", "headers"`, `/etc/site/site.json:8: colour is "red": unknown field`},
		{"/srv/www", "/srv/gone", "/etc/site/site.json:2: files: open /srv/gone: no such file or directory"},
		{"/etc/site/key.pem", "/etc/site/other.pem", "/etc/site/site.json:3: certificate: tls: private key does not match public key"},
	} {
		m.WriteFile(configPath, strings.Replace(testConfig, tt.from, tt.to, 1), 0o644)
		if out, err := m.Run("systemctl", "reload", "site.service"); err == nil {
			t.Errorf("the reload succeeded: %s", out)
		}
		if s := status(t, m); s.PID != before.PID || s.LastReload == nil || !strings.Contains(s.LastReload.Reason, tt.want) {
			t.Errorf("status is %+v, last reload %+v, want %s", s, s.LastReload, tt.want)
		}
		m.Wait("systemctl status to say "+tt.want, func() bool { // systemctl does not wait until systemd has read that
			out, _ := m.Run("systemctl", "status", "site.service")
			return strings.Contains(out, tt.want)
		})
		if out, err := m.Run("env", noWait, "site", "check"); err == nil || !strings.Contains(out, tt.want) {
			t.Errorf("site check answers %s, %v", out, err)
		}
	}
	m.WriteFile("/etc/site/good.json", testConfig, 0o644)
	if out := m.MustRun("env", noWait, "site", "check", "-config", "/etc/site/good.json"); !strings.Contains(out, "/etc/site/good.json: 3 files, certificate of [localhost] until") {
		t.Errorf("site check answers %s", out)
	}
	m.WriteFile(configPath, testConfig, 0o644)
	m.MustRun("systemctl", "reload", "site.service")
}

const noWait = "GORACE=atexit_sleep_ms=0" // for the program as a command

func status(t *testing.T, m *sdtest.Machine) lifecycle.Status {
	t.Helper()
	var s lifecycle.Status
	if err := json.Unmarshal([]byte(m.MustRun("env", noWait, "site", "status", "-json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}
