package lifecycle_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestDryRun has the next process started and ended, and nothing else happen,
// whether it is well or not.
func TestDryRun(t *testing.T) {
	t.Parallel()
	for _, replace := range []string{"beside", "in-place"} {
		t.Run(replace, func(t *testing.T) {
			t.Parallel()
			d := startSuccessors(t, "HEIRLOOM_TEST_REPLACE="+replace)
			c := d.dial()
			c.account()
			before := d.status()
			out, err := d.command("reload", "-dry-run")
			if err != nil || !strings.Contains(out, "generation 1 serves on") {
				t.Errorf("%v: %s", err, out)
			}
			d.checkDryRun("done", "")
			d.write("exit", "")
			if out, err = d.command("reload", "--dry-run"); err == nil || !strings.Contains(out, "reload failed: told to exit") {
				t.Errorf("%v: %s", err, out)
			}
			d.checkDryRun("failed", "told to exit")
			if out, _ := d.command("status"); !strings.Contains(out, "dry run      failed") {
				t.Errorf("status is\n%s", out)
			}
			if after := d.status(); after.PID != before.PID || !after.Since.Equal(before.Since) {
				t.Errorf("%+v, and before\n%+v", after, before)
			}
			c.checkGeneration(1)
			d.reload()
			d.awaitAlone()
			c.checkGeneration(2)
		})
	}
}

// checkGeneration checks that this generation answers, and got what can be
// handed down more than once.
func (c *client) checkGeneration(generation int) {
	c.t.Helper()
	a := c.account()
	if a.Generation != generation || a.Count != generation-1 || a.Big != (generation > 1) {
		c.t.Errorf("account %+v, want one of generation %d", a, generation)
	}
}

func (d *local) checkDryRun(result, reason string) {
	d.t.Helper()
	if got := d.processes(); len(got) != 1 {
		d.t.Errorf("processes %v, want one", got)
	}
	l := d.status().LastReload
	if l == nil || !l.DryRun || l.Result != result || l.Reason != reason || l.Generation != 1 {
		d.t.Errorf("last reload %+v, want a dry run that is %s: %s", l, result, reason)
	}
}

// TestDryRunInPlace has each reload in place begin with a dry run.
func TestDryRunInPlace(t *testing.T) {
	t.Parallel()
	d := startSuccessors(t, "HEIRLOOM_TEST_REPLACE=in-place", "HEIRLOOM_TEST_DRY_RUN=yes")
	c := d.dial()
	c.account()
	d.write("exit", "")
	if out, err := d.command("reload"); err == nil || !strings.Contains(out, "reload failed: told to exit") {
		t.Errorf("%v: %s", err, out)
	}
	for generation := 2; generation <= 4; generation++ {
		d.reload()
		c.checkGeneration(generation)
	}
}

// TestDryRunForbidden has the next process want an address that cannot be had
// as things are. Its unit may give it; an address that is taken it cannot.
func TestDryRunForbidden(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp")
	d.reconfigure("other!192.0.2.1:80") // of TEST-NET-1, RFC 5737
	if out, err := d.command("reload", "-dry-run"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := d.command("reload"); err == nil || !strings.Contains(out, "192.0.2.1:80") {
		t.Errorf("%v: %s", err, out)
	}
	d.reconfigure("other!" + d.address)
	if out, err := d.command("reload", "-dry-run"); err != nil { // it is its own
		t.Errorf("%v: %s", err, out)
	}
	taken := startLocal(t, "tcp")
	d.reconfigure("other!" + taken.address)
	if out, err := d.command("reload", "-dry-run"); err == nil || !strings.Contains(out, "address already in use") {
		t.Errorf("%v: %s", err, out)
	}
	c := d.dial()
	c.ask("/")
	c.answer(1)
}

// TestDryRunForbiddenInPlace has the program that is to replace this one want
// what it cannot have: it would have no other unit, so the reload fails in time.
// A dry run that is asked for may stand for a restart.
func TestDryRunForbiddenInPlace(t *testing.T) {
	t.Parallel()
	for network, address := range map[string]string{"tcp": "192.0.2.1:80", "unix": "/run/no-such-directory/http"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, network, "HEIRLOOM_TEST_REPLACE=in-place", "HEIRLOOM_TEST_DRY_RUN=yes")
			d.reconfigure("other!" + address)
			if out, err := d.command("reload", "-dry-run"); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			if out, err := d.command("reload"); err == nil || !strings.Contains(out, address) {
				t.Errorf("%v: %s", err, out)
			}
			c := d.dial()
			c.ask("/")
			c.answer(1)
		})
	}
}

// TestDryRunStopped stops a service that is at a dry run.
func TestDryRunStopped(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=phases", "HEIRLOOM_TEST_READY=1h", "HEIRLOOM_TEST_RELOAD=1h")
	dryRun := make(chan string)
	go func() {
		out, _ := d.command("reload", "-dry-run")
		dryRun <- out
	}()
	d.eventually("the next process", func() bool { return len(d.processes()) == 2 })
	d.signal(syscall.SIGTERM)
	if out := <-dryRun; !strings.Contains(out, lifecycle.ErrStopping.Error()) {
		t.Errorf("the dry run says %s", out)
	}
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
	if got := d.processes(); len(got) != 0 {
		t.Errorf("processes left: %v", got)
	}
}
