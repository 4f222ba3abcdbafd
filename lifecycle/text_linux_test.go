package lifecycle_test

import (
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestNoReason: a reload that failed for an error without a text has failed.
func TestNoReason(t *testing.T) {
	if got := lifecycle.FailedReason(""); got == "" {
		t.Error("it is said to be done")
	}
}

// TestStatusForPeople: what a service says of itself cannot look like more
// lines than it has, nor do something to a terminal.
func TestStatusForPeople(t *testing.T) {
	evil := "\x1b[2J\nlast reload\tdone\x00\xff"
	s := lifecycle.Status{
		Name: evil, Version: evil, State: lifecycle.State(evil), Jobs: []string{evil},
		Drain:        &lifecycle.Drain{Phase: lifecycle.Phase(evil), Source: evil},
		LastReload:   &lifecycle.LastReload{Result: "failed", Reason: evil},
		Predecessors: []lifecycle.Predecessor{{Error: evil}, {Jobs: []string{evil}}},
	}
	var out strings.Builder
	if err := lifecycle.WriteStatus(s, &out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\x1b\t") || strings.Count(text, "\n") != 10 {
		t.Errorf("the status is %d lines: %q", strings.Count(text, "\n"), text)
	}
}

// TestLedgerForPeople has counts that are not there left out.
func TestLedgerForPeople(t *testing.T) {
	for want, l := range map[string]lifecycle.Ledger{
		"connections that would outlive a crash: 1":           {Kept: 1},
		"connections that would outlive a crash: 0: no store": {Off: "no store"},
		"connections that would outlive a crash: 9, that would not: 2, that outlived the last one: 7, cut by it: 3, " +
			"of these answered with 500: 1, lost by it: 4": {Kept: 9, Refused: 2, Adopted: 7, Cut: 3, Answered: 1, Lost: 4},
	} {
		if got := l.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestReasonUnderSystemd has successors fail for a reason that holds anything:
// the service is ready again, serves on, and reloads with the next good one.
func TestReasonUnderSystemd(t *testing.T) {
	t.Parallel()
	var tests sync.WaitGroup
	defer tests.Wait()
	for _, v := range sdtest.Turn(t.Name()) {
		tests.Go(func() {
			t.Run(v.String(), func(t *testing.T) { testReason(t, startWatched(t, v, "NotifyAccess=main")) })
		})
	}
}

func testReason(t *testing.T, d *managedDaemon) {
	for _, reason := range []string{
		"open conf\x00.yaml: invalid argument",
		"two\nlines\r\nSTOPPING=1\rMAINPID=1",
		"color \x1b[2J\x1b]0;title\a",
		"not \xff\xfe UTF-8",
		"long " + strings.Repeat("ä\x00", 1<<20),
	} {
		d.say("health-2", reason)
		out, err := d.machine.Run("systemctl", "reload", "daemon.service")
		if err == nil {
			t.Errorf("%.30q: the reload succeeded", reason)
		}
		if !utf8.ValidString(out) || strings.ContainsAny(out, "\x00\x1b") {
			t.Errorf("%.30q: systemctl shows %.200q", reason, out)
		}
		// The service tells systemd, and the command does not wait until that
		// is read.
		first, _, _ := strings.Cut(reason, " ")
		d.machine.Wait("the service to be ready again, and to say why the reload failed", func() bool {
			said := d.machine.Property("daemon.service", "StatusText")
			return strings.Contains(said, "the last reload failed: health check: "+first[:3]) && d.machine.Property("daemon.service", "SubState") == "running"
		})
		for property, want := range map[string]string{"ActiveState": "active", "SubState": "running", "MainPID": d.machine.Property("daemon.service", "ExecMainPID")} {
			if is := d.machine.Property("daemon.service", property); is != want {
				t.Fatalf("%.30q: %s=%s, want %s", reason, property, is, want)
			}
		}
		if said := d.machine.MustRun("env", "HEIRLOOM_TEST_ROLE=daemon", "/usr/bin/daemon", "status"); !utf8.ValidString(said) || strings.ContainsAny(said, "\x00\x1b\r") {
			t.Errorf("%.30q: status says %.300q", reason, said)
		}
	}
	d.say("health-2", "well")
	if out, err := d.machine.Run("systemctl", "reload", "daemon.service"); err != nil {
		t.Errorf("a good program after the bad ones: %v: %s", err, out)
	}
	d.awaitService("0", 2)
}
