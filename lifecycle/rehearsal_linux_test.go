package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOtherNetHTTP reloads daemons built with a net/http that behaves otherwise
// than this package knows.
func TestOtherNetHTTP(t *testing.T) {
	program := buildWithOtherNetHTTP(t)
	t.Run("HTTP1", func(t *testing.T) { reloadOtherHTTP1(t, program) })
	t.Run("HTTP2", func(t *testing.T) { reloadOtherHTTP2(t, program) })
}

// reloadOtherHTTP1 has nothing move, so clients are told to close, and the idle
// ones are not waited for.
func reloadOtherHTTP1(t *testing.T, program string) {
	d := startProgram(t, program, "tcp", "HEIRLOOM_TEST_LINGER="+span(5*time.Second), "HEIRLOOM_TEST_DRAIN=10m")
	busy, asking, idle := d.dial(), d.dial(), d.dial()
	for _, c := range []*client{asking, idle} {
		c.ask("/")
		if c.answer(1) {
			t.Error("a client was told to close before there is reason to")
		}
	}
	d.underWay(busy, "/?until=late")
	d.reload()
	asking.ask("/?until=late")
	d.eventually("two requests to be waited for", func() bool {
		s := d.status()
		return len(s.Predecessors) == 1 && s.Predecessors[0].Requests == 2
	})
	idle.closed()
	d.write("late", "")
	busy.answer(1)
	busy.closed()
	if !asking.answer(1) {
		t.Error("a client was not told to close")
	}
	asking.closed()
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
	if warned := strings.Count(d.logged(), "idle HTTP/1 connections cannot move with this Go release"); warned != 2 {
		t.Errorf("%d warnings, want one of each process", warned)
	}
}

// reloadOtherHTTP2 has a client whose connection ends nevertheless.
func reloadOtherHTTP2(t *testing.T, program string) {
	d := startProgram(t, program, "tcp", "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_LINGER=1ms")
	d.getByHTTP2("/")
	d.reload()
	d.eventually("the predecessor to end", func() bool { return len(d.processes()) == 1 })
	if warned := strings.Count(d.logged(), "a drain can break requests of HTTP/2 with this Go release"); warned != 2 {
		t.Errorf("%d warnings, want one of each process", warned)
	}
}

// Two changes of net/http: it sets one deadline less, which is redundant there,
// before it waits for the next request, and ignores a client's GOAWAY.
var netHTTPChanges = []struct {
	files            []string // the first one that there is, by Go release
	from, old, other string
}{
	{[]string{"server.go"}, "if d := c.server.idleTimeout(); d > 0 {", "c.rwc.SetReadDeadline(time.Time{})", ""},
	{[]string{"internal/http2/server.go", "h2_bundle.go"}, "", "return sc.processGoAway(f)", "return nil"},
}

// buildWithOtherNetHTTP builds this program with another net/http.
func buildWithOtherNetHTTP(t *testing.T) string {
	t.Helper()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir, replace := t.TempDir(), make(map[string]string)
	for i, change := range netHTTPChanges {
		var source []byte
		original, err := "", os.ErrNotExist
		for _, file := range change.files {
			if err != nil {
				original = filepath.Join(strings.TrimSpace(string(goroot)), "src/net/http", file)
				source, err = os.ReadFile(original)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		before, after, found := strings.Cut(string(source), change.from)
		if !found || !strings.Contains(after, change.old) {
			t.Fatalf("%s has no %q any more: choose another change", original, change.old)
		}
		changed := filepath.Join(dir, fmt.Sprintf("%d.go", i))
		replace[original] = changed
		after = strings.Replace(after, change.old, change.other, 1)
		if err := os.WriteFile(changed, []byte(before+change.from+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	overlay, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "daemon")
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, data, 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as other programs are built, so that less is compiled
	if out, err := build.CombinedOutput(); strings.Contains(string(out), "GOMODCACHE") {
		t.Skipf("only a Go that is installed can be changed: %s", out)
	} else if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}
