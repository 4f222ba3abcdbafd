package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// hooks is a program that defers what HEIRLOOM_TEST_HOOKS lists, as in "a=ok
// b=hang": how each of them ends. A file named drain in its RuntimeDirectory
// changes Options.DrainTimeout.
func hooks(options lifecycle.Options) error {
	if text, err := os.ReadFile(filepath.Join(os.Getenv("RUNTIME_DIRECTORY"), "drain")); err == nil {
		if options.DrainTimeout, err = time.ParseDuration(string(text)); err != nil {
			return err
		}
	}
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	_, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	listener, err := service.Listen("http", "tcp", address)
	if err != nil {
		return err
	}
	if err := service.HTTP(listener, &http.Server{Handler: holdingHandler(service.Generation())}); err != nil {
		return err
	}
	for _, h := range strings.Fields(os.Getenv("HEIRLOOM_TEST_HOOKS")) {
		name, how, _ := strings.Cut(h, "=")
		service.Defer(name, func(ctx context.Context) error {
			deadline, _ := ctx.Deadline()
			fmt.Fprintf(os.Stderr, "hook %s of %d: share %v\n", name, service.Generation(), time.Until(deadline))
			return runHook(ctx, how)
		})
	}
	return service.Run(context.Background())
}

func runHook(ctx context.Context, how string) error {
	switch how {
	case "ok":
		return nil
	case "slow":
		<-ctx.Done()
		return ctx.Err()
	case "hang":
		select {}
	case "panic":
		panic("out of hooks")
	default:
		return errors.New(how)
	}
}

var hookRan = regexp.MustCompile(`hook (\w+) of (\d+): share (\S+)`)

// hooksRan returns which hooks a generation has run, in their order, and how
// much time the first was given.
func hooksRan(t *testing.T, d *local, generation string) (names []string, first time.Duration) {
	t.Helper()
	for _, m := range hookRan.FindAllStringSubmatch(d.logged(), -1) {
		if m[2] != generation {
			continue
		}
		share, err := time.ParseDuration(m[3])
		if err != nil {
			t.Fatal(err)
		}
		if names = append(names, m[1]); len(names) == 1 {
			first = share
		}
	}
	return names, first
}

// TestHooks stops a service with hooks that end in all ways: the others are run
// all the same, the last deferred first.
func TestHooks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, hooks string
		ran         string
		logged      []string // "" alone says that it ends well
	}{
		{"all well", "a=ok b=ok c=ok", "c b a", nil},
		{"an error", "a=ok b=broken c=ok", "c b a", []string{"b: broken"}},
		{"a panic", "a=ok b=panic c=ok", "c b a", []string{"b: panic: out of hooks", "runHook"}},
		{"two errors", "a=broken b=torn", "b a", []string{"a: broken", "b: torn"}},
		{"one that uses up its share", "a=ok b=slow c=ok", "c b a", []string{"b: context deadline exceeded"}},
		{"one that hangs", "a=ok b=hang c=ok", "c b a", []string{"b: it did not return", "drain timed out", "lifecycle_test.runHook"}},
		{"the last one hangs", "a=hang b=ok", "b a", []string{"drain timed out", "lifecycle_test.runHook"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			drain := patience.Of(5 * time.Second)
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=hooks", "HEIRLOOM_TEST_DRAIN="+drain.String(), "HEIRLOOM_TEST_HOOKS="+test.hooks)
			d.signal(syscall.SIGTERM)
			if err := d.awaitExit(); (err == nil) != (test.logged == nil) {
				t.Errorf("the process ended with %v", err)
			}
			ran, first := hooksRan(t, d, "1")
			if !slices.Equal(ran, strings.Fields(test.ran)) {
				t.Errorf("hooks %v were run, want %s", ran, test.ran)
			}
			n := time.Duration(len(strings.Fields(test.hooks)))
			if first < drain/2/n || first > drain*11/10/n {
				t.Errorf("the first of %d hooks was given %v, want an equal share of %v", n, first, drain)
			}
			for _, want := range test.logged {
				if !strings.Contains(d.logged(), want) {
					t.Errorf("the log has no %q", want)
				}
			}
		})
	}
}

// lateManager returns the environment of a service whose manager has not told
// how long a stop may take when everything else has ended: nobody answers at its
// socket, and so in the end the environment tells.
func lateManager(t *testing.T, timeout time.Duration) []string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "systemd"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "systemd/io.systemd.Manager"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return []string{"MANAGERPID=1", "XDG_RUNTIME_DIR=" + dir, "INVOCATION_ID=1", "HEIRLOOM_STOP_TIMEOUT=" + timeout.String()}
}

// TestHooksOfLateManager stops a service that has nothing to wait for, before it
// knows how long that may take: hooks share the time that there is.
func TestHooksOfLateManager(t *testing.T) {
	t.Parallel()
	timeout := patience.Of(5 * time.Second)
	env := append(lateManager(t, timeout), "HEIRLOOM_TEST_ROLE=hooks", "HEIRLOOM_TEST_HOOKS=a=ok b=hang")
	d := startLocal(t, "tcp", env...)
	d.signal(syscall.SIGTERM)
	checkDrainTimeout(t, d)
	ran, first := hooksRan(t, d, "1")
	if !slices.Equal(ran, []string{"b", "a"}) {
		t.Errorf("hooks %v were run, want both", ran)
	}
	if first > timeout/2 {
		t.Errorf("the first was given %v, want half of less than %v", first, timeout)
	}
}

// TestHooksAfterRequests sees that a hook runs when a request has been
// answered, and not before; and in a predecessor as well.
func TestHooksAfterRequests(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=hooks", "HEIRLOOM_TEST_HOOKS=a=ok")
	busy := d.hold()
	d.reload()
	if ran, _ := hooksRan(t, d, "1"); len(ran) > 0 {
		t.Error("the hook was run while there was a request")
	}
	d.release()
	busy.answer(1)
	d.eventually("the predecessor to end", func() bool { return len(d.processes()) == 1 })
	if ran, _ := hooksRan(t, d, "1"); len(ran) != 1 {
		t.Errorf("hooks %v were run in the predecessor, want its own", ran)
	}
	if ran, _ := hooksRan(t, d, "2"); len(ran) > 0 {
		t.Error("the hook of the successor was run though it serves")
	}
}

// TestHooksKeepTheirTime sees that requests that last too long leave hooks some
// of the time.
func TestHooksKeepTheirTime(t *testing.T) {
	t.Parallel()
	drain := patience.Of(10 * time.Second)
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=hooks", "HEIRLOOM_TEST_DRAIN="+drain.String(), "HEIRLOOM_TEST_HOOKS=a=ok")
	busy := d.dial()
	d.underWay(busy, "/?d=1h")
	d.signal(syscall.SIGTERM)
	busy.closed()
	checkDrainTimeout(t, d)
	requests := regexp.MustCompile(`drain deadline: .* requests=(\S+)`).FindStringSubmatch(d.logged())
	if requests == nil {
		t.Fatal("the log does not say how long requests may last")
	}
	if last, err := time.ParseDuration(requests[1]); err != nil || last > drain*37/40 { // a fortieth more than drain is for closing
		t.Errorf("requests may last %v (%v), want a tenth of %v to be left", last, err, drain)
	}
	if ran, share := hooksRan(t, d, "1"); len(ran) != 1 || share <= 0 { // most of a tenth may be over by then
		t.Errorf("hooks %v were run, the first was given %v, want some of a tenth of %v", ran, share, drain)
	}
}

// TestHooksOfLongDrain stops a service whose predecessor has drained for a
// while and may for long: of the time that there is left its hooks have a
// tenth, and not of all the time since its drain began.
func TestHooksOfLongDrain(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=hooks", "HEIRLOOM_TEST_DRAIN=1h", "HEIRLOOM_TEST_HOOKS=a=ok", "HEIRLOOM_TEST_LINGER=100ms")
	busy := d.hold()
	if err := os.WriteFile(d.dir+"/drain", []byte(span(20*time.Second)), 0o644); err != nil {
		t.Fatal(err)
	}
	d.reload()
	drained := patience.Of(5 * time.Second)
	time.Sleep(drained)
	d.signal(syscall.SIGTERM)
	var s lifecycle.Status
	var least time.Time
	d.eventually("the predecessor to know how long it has", func() bool {
		s = d.status()
		if s.Drain == nil || len(s.Predecessors) != 1 {
			return false
		}
		least = s.Since.Add(s.Drain.Ends.Sub(s.Since)*9/10 - drained/20)
		return s.Predecessors[0].Ends.Before(s.Drain.Ends.Add(time.Minute)) // rather than in an hour
	})
	if ends := s.Predecessors[0].Ends; ends.Before(least) {
		t.Errorf("the predecessor's requests are to end %v before those of the service", s.Drain.Ends.Sub(ends))
	}
	d.release()
	busy.answer(1)
	d.eventually("both processes to end", func() bool { return len(d.processes()) == 0 })
}

// TestNoHooksAtOnce tells the service twice to stop: hooks are not run.
func TestNoHooksAtOnce(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=hooks", "HEIRLOOM_TEST_HOOKS=a=ok")
	busy := d.dial()
	d.underWay(busy, "/?d=1h")
	d.stopNow()
	busy.closed()
	checkDrainTimeout(t, d)
	if ran, _ := hooksRan(t, d, "1"); len(ran) > 0 {
		t.Errorf("hooks %v were run", ran)
	}
}
