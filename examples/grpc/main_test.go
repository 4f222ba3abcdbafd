package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
	limit "github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

func TestUnits(t *testing.T) { exampletest.CheckUnits(t) }

const (
	address   = "127.0.0.1:50051"
	flagsPath = "/etc/grpc/flags.json"
	noWait    = "GORACE=atexit_sleep_ms=0" // for the program in a terminal
)

// TestReplace publishes flags and restarts the server while clients of every
// kind use it, on each systemd.
func TestReplace(t *testing.T) {
	grpcurl := installGrpcurl(t)
	for _, v := range exampletest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			published := &editions{}
			m := exampletest.Boot(t, v, exampletest.Build(t, exampletest.Race()...), func(m *sdtest.Machine) {
				exampletest.NoRaceExit(m)
				published.publish(t, m)
			})
			t.Run("load", func(t *testing.T) { testLoad(t, m.For(t), grpcurl, published, sdtest.Rounds(v, 3)) })
			if v == sdtest.V262 { // the rest has little to do with systemd
				t.Run("refuse", func(t *testing.T) { testRefuse(t, m.For(t), published) })
				t.Run("commands", func(t *testing.T) { testCommands(t, m.For(t)) })
				t.Run("lame duck", func(t *testing.T) { testLameDuck(t, m.For(t), grpcurl, published) })
			}
			exampletest.CheckRunning(t, m)
			m.MustRun("systemctl", "stop", "grpc.service")
			if result := m.Property("grpc.service", "Result"); result != "success" {
				t.Errorf("result of the stop is %s", result)
			}
		})
	}
}

// testLoad reloads the server with other flags, and restarts it with the same.
func testLoad(t *testing.T, m *sdtest.Machine, grpcurl string, published *editions, rounds int) {
	l := start(t, m, grpcurl, published, everybody)
	for range rounds {
		for _, how := range []string{"reload", "restart"} {
			l.mustAdvance()
			if how == "reload" {
				published.publish(t, m)
			}
			l.replace(how)
		}
	}
	l.mustAdvance()
	l.stop()
	l.replace("reload") // it ends the streams of those who wait for it
	l.judge()
}

// testRefuse publishes what cannot be meant.
func testRefuse(t *testing.T, m *sdtest.Machine, published *editions) {
	before := serverStatus(t, m)
	m.WriteFile(flagsPath, `{"flags": [{"name": "new", "percent": 101}]}`, 0o644)
	if out, err := m.Run("systemctl", "reload", "grpc.service"); err == nil {
		t.Errorf("the reload succeeded: %s", out)
	}
	after := serverStatus(t, m)
	if after.PID != before.PID || after.LastReload == nil || !strings.Contains(after.LastReload.Reason, `flag "new" is on for 101 percent`) {
		t.Errorf("status is %+v, last reload %+v", after, after.LastReload)
	}
	published.publish(t, m)
	m.MustRun("systemctl", "reload", "grpc.service")
}

// testCommands is what an operator does.
func testCommands(t *testing.T, m *sdtest.Machine) {
	text, err := os.ReadFile("testdata/flags.json")
	if err != nil {
		t.Fatal(err)
	}
	watch := m.Start("env", noWait, "grpc", "watch")
	m.Wait("the flags", func() bool { return strings.Count(watch.Output(), "\n") == 1 })
	m.WriteFile(flagsPath, string(text), 0o644)
	m.MustRun("systemctl", "reload", "grpc.service")
	m.Wait("the changed flags", func() bool {
		return strings.HasSuffix(watch.Output(), ": dark-mode 100% new-checkout 25% telepathy 0%\n")
	})
	if err := watch.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if out, err := watch.Wait(); err != nil || strings.Count(out, "\n") != 2 {
		t.Errorf("watch: %v\n%s", err, out)
	}

	if got := m.MustRun("env", noWait, "grpc", "call", "dark-mode", "ann", "bob"); got != "ann on\nbob on\n" {
		t.Errorf("call answers %q", got)
	}
	if out, err := m.Run("env", noWait, "grpc", "call", "no-such", "ann"); err == nil || !strings.Contains(out, `no flag "no-such"`) {
		t.Errorf("call answers %q, %v", out, err)
	}
	cmd := exampletest.Command(t, m, exampletest.Build(t, exampletest.Race()...), "call", "telepathy")
	cmd.Env = append(os.Environ(), noWait)
	cmd.Stdin = strings.NewReader("ann\nbob\n")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "ann off\nbob off\n" {
		t.Errorf("call answers %q, %v", out, err)
	}
}

// testLameDuck has load balancers told before a stop. Whoever stays is served
// all the same.
func testLameDuck(t *testing.T, m *sdtest.Machine, grpcurl string, published *editions) {
	lame := fmt.Sprintf("[Service]\nExecStart=\nExecStart=/usr/bin/grpc -lame-duck %v\n", limit.Of(time.Second))
	m.WriteFile("/etc/systemd/system/grpc.service.d/lame.conf", lame, 0o644)
	m.MustRun("systemctl", "daemon-reload")
	published.publish(t, m)
	m.MustRun("systemctl", "restart", "grpc.service")
	l := start(t, m, grpcurl, published, stalwarts)
	watch := exampletest.Command(t, m, grpcurl, "-plaintext", "-d", `{"service": "flags.v1.Flags"}`, address, "grpc.health.v1.Health/Watch")
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	answers := json.NewDecoder(out)
	expectHealth(t, answers, "SERVING")
	l.mustAdvance()
	published.publish(t, m)
	l.replace("restart")
	expectHealth(t, answers, "NOT_SERVING")
	if err := watch.Wait(); err == nil || watch.ProcessState.ExitCode() != unavailable {
		t.Errorf("the watch of the health ended with %v", err)
	}
	l.mustAdvance()
	l.stop()
	l.judge()
}

func expectHealth(t *testing.T, answers *json.Decoder, want string) {
	t.Helper()
	var health struct{ Status string }
	if err := answers.Decode(&health); err != nil || health.Status != want {
		t.Errorf("the health is %q, %v, want %q", health.Status, err, want)
	}
}

func serverStatus(t *testing.T, m *sdtest.Machine) lifecycle.Status {
	t.Helper()
	var s lifecycle.Status
	if err := json.Unmarshal([]byte(m.MustRun("env", noWait, "grpc", "status", "-json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// file is the text of flags that differ from those of every other number below
// a hundred.
func file(number int) string {
	return fmt.Sprintf(`{"flags": [{"name": "new", "percent": %d}, {"name": "old", "percent": 100}]}`, number)
}
