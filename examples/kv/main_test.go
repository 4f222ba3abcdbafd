package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

func TestUnits(t *testing.T) { exampletest.CheckUnits(t) }

// TestReplace has the store replaced in every way while curl writes and wrk
// reads.
func TestReplace(t *testing.T) {
	for _, v := range exampletest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			m := exampletest.Boot(t, v, exampletest.Build(t, exampletest.Race()...), exampletest.NoRaceExit)
			t.Run("replace", func(t *testing.T) { testReplace(t, m.For(t), sdtest.Rounds(v, 3)) })
			if v == sdtest.V262 { // the rest has little to do with systemd
				t.Run("slow reader", func(t *testing.T) { testSlowReader(t, m.For(t)) })
				t.Run("order", func(t *testing.T) { testOrder(t, m.For(t)) })
				t.Run("format", func(t *testing.T) { testFormat(t, m.For(t)) })
			}
			exampletest.CheckRunning(t, m)
			if v == sdtest.V262 {
				t.Run("kill", func(t *testing.T) { testKill(t, m.For(t)) })
				t.Run("in place", func(t *testing.T) { testInPlace(t, m.For(t)) })
			}
		})
	}
}

// testReplace reloads and restarts the store. No request is broken, and no
// connection.
func testReplace(t *testing.T, m *sdtest.Machine, rounds int) {
	curl, wrk := write(t, m, "replace"), read(t, m)
	for range rounds {
		for _, how := range []string{"reload", "restart"} {
			curl.mustAdvance()
			m.MustRun("systemctl", how, "kv.service")
		}
	}
	curl.mustAdvance()
	wrk.judge()
	curl.stop()
	curl.judge()
	curl.check()
}

// testOrder has a slow write keep the database while two more generations come.
// Their requests wait, and are answered in turn.
func testOrder(t *testing.T, m *sdtest.Machine) {
	slow := newSlowPut(t, m, "slow")
	m.Wait("the slow write", func() bool { return status(t, m).Requests == 1 })
	answers := []<-chan string{slow.answer}
	for _, key := range []string{"second", "third"} {
		m.MustRun("systemctl", "reload", "kv.service")
		answers = append(answers, put(t, m, key))
		m.Wait("the request to wait", func() bool { return status(t, m).Requests == 1 })
	}
	if s := status(t, m); len(s.Predecessors) != 2 {
		t.Errorf("status is %+v", s)
	}
	slow.finish()
	for i, answer := range answers {
		if got := <-answer; got != "201" {
			t.Errorf("answer %d is %q", i, got)
		}
	}
}

// testSlowReader reloads while a client does not read the response that it gets.
// It keeps nobody waiting: a write is answered before it reads on, and then it
// gets the rest.
func testSlowReader(t *testing.T, m *sdtest.Machine) {
	const keys, size = 300, 30000 // more than fits into the buffers of sockets
	c := client(t, m)
	for i := range keys {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, fmt.Sprintf("%s/keys/slow%0*d", site, size, i), nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := c.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	response, err := client(t, m).Get(site + "/keys?prefix=slow")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	m.MustRun("systemctl", "reload", "kv.service")
	if got := <-put(t, m, "beside-a-slow-reader"); got != "201" && got != "204" {
		t.Errorf("a write is answered with %q", got)
	}
	var found []string
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil || len(found) != keys {
		t.Errorf("the slow reader got %d keys, %v", len(found), err)
	}
}

// testFormat installs a program that does not know the format of the database,
// which is the running process's as yet.
func testFormat(t *testing.T, m *sdtest.Machine) {
	source, err := os.ReadFile("store.go")
	if err != nil {
		t.Fatal(err)
	}
	old := strings.Replace(string(source), "const format = 1\n", "const format = 0\n", 1)
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	changed, overlay := filepath.Join(t.TempDir(), "store.go"), filepath.Join(t.TempDir(), "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(dir, "store.go"): changed}})
	if err := errors.Join(err, os.WriteFile(changed, []byte(old), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		t.Fatal(err)
	}
	before := status(t, m)
	m.Install(exampletest.Build(t, append(exampletest.Race(), "-overlay", overlay)...), "/usr/bin/kv")
	defer m.Install(exampletest.Build(t, exampletest.Race()...), "/usr/bin/kv")
	if out, err := m.Run("systemctl", "reload", "kv.service"); err == nil {
		t.Errorf("the reload succeeded: %s", out)
	}
	after := status(t, m)
	if after.PID != before.PID || after.LastReload == nil || !strings.Contains(after.LastReload.Reason, "knows formats up to 0") {
		t.Errorf("status is %+v, last reload %+v", after, after.LastReload)
	}
}

// testKill kills the store. What was acknowledged is there afterwards.
func testKill(t *testing.T, m *sdtest.Machine) {
	curl := write(t, m, "kill")
	for range 2 {
		curl.mustAdvance()
		before := status(t, m).PID
		m.Kill(before, syscall.SIGKILL)
		m.Wait("another process", func() bool {
			out, err := m.Run("kv", "status", "-json")
			return err == nil && !strings.Contains(out, fmt.Sprintf(`"pid": %d,`, before))
		})
	}
	curl.mustAdvance()
	curl.stop()
	curl.check()
}

// testInPlace runs the program as a shell, or a container's engine, would:
// there it is replaced in place.
func testInPlace(t *testing.T, m *sdtest.Machine) {
	m.MustRun("systemctl", "stop", "kv.socket", "kv.service")
	kv := m.Start("kv", "-db", "/root/kv.db")
	m.Wait("the store", func() bool { _, err := m.Run("kv", "status"); return err == nil })
	pid := status(t, m).PID
	curl := write(t, m, "place")
	for range 2 {
		curl.mustAdvance()
		m.MustRun("kv", "reload")
	}
	curl.mustAdvance()
	curl.stop()
	curl.judge()
	curl.check()
	if s := status(t, m); s.PID != pid || s.Generation != 3 {
		t.Errorf("status is %+v, the process was %d", s, pid)
	}
	if err := kv.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if out, err := kv.Wait(); err != nil || strings.Contains(out, "DATA RACE") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestFormat has a database of a later version refused.
func TestFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv.db")
	s := &store{path: path, relinquish: func(*http.Request) {}, opened: make(chan struct{})}
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(formatKey, []byte("2")) })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	s = &store{path: path, relinquish: func(*http.Request) {}, opened: make(chan struct{})}
	if err := s.open(); err == nil || !strings.Contains(err.Error(), "it has format 2") {
		t.Errorf("the error is %v", err)
	}
	if _, err := s.get(t.Context(), "key"); err != s.err {
		t.Errorf("get answers %v", err)
	}
	_ = s.db.Close()
}

func status(t *testing.T, m *sdtest.Machine) lifecycle.Status {
	t.Helper()
	var s lifecycle.Status
	if err := json.Unmarshal([]byte(m.MustRun("kv", "status", "-json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// client returns one for requests into the machine.
func client(t *testing.T, m *sdtest.Machine) *http.Client {
	transport := &http.Transport{DialContext: m.Dial}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
