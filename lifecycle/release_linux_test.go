package lifecycle_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// releasing is a program that has something exclusive, and notes in files when
// it has and when it has given it up, which hangs as long as there is a file
// named hang-1 in the first generation, and with one named late-1 lasts until
// its hook has been called, and a little longer. A request with relinquish needs
// it no more when there is such a file.
func releasing(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	own := func(what string) string {
		return inRuntimeDirectory(fmt.Sprintf("%s-%d", what, service.Generation()))
	}
	note := func(what string) error {
		f, err := os.OpenFile(own(what), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) // once
		if err != nil {
			return err
		}
		return f.Close()
	}
	service.Release("store", func(ctx context.Context) error {
		deadline, _ := ctx.Deadline()
		fmt.Fprintf(os.Stderr, "hook store of %d: share %v\n", service.Generation(), time.Until(deadline))
		for exists(own("hang")) {
			time.Sleep(time.Millisecond)
		}
		if exists(own("late")) {
			for !exists(own("hook")) {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(100 * time.Millisecond) // in which the process would end if it did not wait
		}
		return note("gave")
	})
	service.Defer("hook", func(context.Context) error { return note("hook") })
	go func() {
		<-service.Released("store")
		_ = note("has")
	}()
	_, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	listener, err := service.Listen("http", "tcp", address)
	if err != nil {
		return err
	}
	wait := handler(service.Generation())
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = note("serves-" + r.FormValue("name"))
		if file := r.FormValue("relinquish"); file != "" {
			_ = eventually(func() bool { return exists(inRuntimeDirectory(file)) })
			service.Relinquish(r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, nil)))
			_ = note("relinquished-" + r.FormValue("name"))
		}
		wait.ServeHTTP(w, r)
	})}
	if os.Getenv("HEIRLOOM_TEST_TLS") != "" {
		server.TLSConfig = selfSigned()
	}
	if err := service.HTTP(listener, server); err != nil {
		return err
	}
	return service.Run(context.Background())
}

func (d *local) has(file string) bool { return exists(filepath.Join(d.dir, file)) }

func (d *local) awaitFile(file string) {
	d.t.Helper()
	d.eventually(file, func() bool { return d.has(file) })
}

func (d *local) touch(file string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, file), nil, 0o644); err != nil {
		d.t.Fatal(err)
	}
}

// begin sends a request that is answered when there is a file named over.
func (d *local) begin(c *client, name, relinquish string) {
	d.t.Helper()
	c.ask("/?until=over&name=" + name + "&relinquish=" + relinquish)
	d.awaitFile("serves-" + name + "-1")
}

// TestRelease reloads while a request is under way. What the process has is
// given up when no request needs it, whether that is said before the reload or
// after it.
func TestRelease(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=releasing")
			d.awaitFile("has-1")
			slow, other := d.dial(), d.dial()
			d.begin(slow, "slow", "let-slow")
			d.begin(other, "other", "let-other")
			if when == "before" {
				d.touch("let-slow")
				d.awaitFile("relinquished-slow-1")
			}
			d.reload()
			d.eventually("the drain", func() bool { return len(d.status().Predecessors) == 1 })
			if when == "after" {
				d.touch("let-slow")
				d.awaitFile("relinquished-slow-1")
			}
			if d.status(); d.has("gave-1") || d.has("has-2") {
				t.Error("it was given up while a request needs it")
			}
			d.touch("let-other")
			d.awaitFile("gave-1")
			d.awaitFile("has-2")
			if n := len(d.status().Predecessors); n != 1 {
				t.Errorf("%d generations drain, want one, with two requests", n)
			}
			slow.ask("/") // while the response is under way, which would bind it to this process
			d.touch("over")
			slow.answer(1)
			slow.answer(2) // its connection has moved
			other.answer(1)
			other.ask("/")
			other.answer(2)
			d.awaitAlone()
			d.signal(syscall.SIGTERM)
			d.eventually("the end", func() bool { return len(d.processes()) == 0 })
			if !d.has("gave-2") {
				t.Error("it was not given up on a stop")
			}
			if strings.Contains(d.logged(), "a hook failed") {
				t.Error("it was given up more than once")
			}
		})
	}
}

// TestReleaseLast waits for the end of what says nothing, and of a connection
// that may still bring a request: one of TLS that cannot move.
func TestReleaseLast(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env        string
		dial       func(*local) *client
		relinquish string
	}{
		"says nothing": {"", (*local).dial, ""},
		"with another behind it": {"", func(d *local) *client {
			c := d.dial()
			if _, err := fmt.Fprint(c, "GET /?until=over&name=slow&relinquish=let HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
				d.t.Fatal(err)
			}
			return c
		}, "sent"},
		"TLS": {"HEIRLOOM_TEST_TLS=yes", (*local).dialTLS, "let"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=releasing", test.env)
			d.touch("let")
			c := test.dial(d)
			if test.relinquish == "sent" {
				d.awaitFile("serves-slow-1")
			} else {
				d.begin(c, "slow", test.relinquish)
			}
			if test.relinquish != "" {
				d.awaitFile("relinquished-slow-1")
			}
			d.reload()
			d.eventually("the drain", func() bool { return len(d.status().Predecessors) == 1 })
			if d.status(); d.has("gave-1") || d.has("has-2") {
				t.Error("it was given up too early")
			}
			d.touch("over")
			c.answer(1)
			if test.relinquish == "sent" {
				c.answer(1)
			}
			d.awaitFile("has-2")
			if !d.has("gave-1") {
				t.Error("it was not given up")
			}
		})
	}
}

// TestRelinquishWithBody has a handler relinquish while the body of its request
// has not come, which changes nothing: the body is read, and the resource is
// given up after the response.
func TestRelinquishWithBody(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=releasing")
	d.touch("let")
	c := d.dial()
	c.write("POST /?name=slow&relinquish=let HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n")
	d.awaitFile("relinquished-slow-1")
	d.reload()
	d.eventually("the drain", func() bool { return len(d.status().Predecessors) == 1 })
	if d.status(); d.has("gave-1") || d.has("has-2") {
		t.Error("it was given up too early")
	}
	c.write("body")
	if line, _ := c.line(1); !strings.HasSuffix(line, "read 4 bytes") {
		t.Errorf("the response ends in %q", line)
	}
	d.awaitFile("has-2")
}

// TestReleaseHangs has a process not give up what it has: the status says what
// it waits for, and when the time of hooks is over it is work that was cut.
func TestReleaseHangs(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=releasing", "HEIRLOOM_TEST_DRAIN="+span(5*time.Second))
	d.touch("hang-1")
	d.reload()
	d.eventually("the status to say so", func() bool {
		p := d.status().Predecessors
		return len(p) == 1 && slices.Equal(p[0].Jobs, []string{"Release of store"})
	})
	checkDrainTimeout(t, d)
	if want := `exiting: phase=hooks left="Release of store"`; !strings.Contains(d.logged(), want) {
		t.Errorf("the log has no %q", want)
	}
}

// TestReleaseLate has a process take long to give up what it has, and end within
// the time that its context shows: nothing is cut.
func TestReleaseLate(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=releasing", "HEIRLOOM_TEST_DRAIN="+span(10*time.Second))
	d.touch("late-1")
	d.reload()
	if err := d.awaitExit(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
	if !d.has("gave-1") {
		t.Error("the process ended before its time")
	}
	if log := d.logged(); strings.Contains(log, "what is left") || strings.Contains(log, "cut work") {
		t.Error("the log says that something was cut")
	}
}

// TestReleaseOfLateManager has a process give up what it has for a successor: it
// has the time for that which the service manager tells later.
func TestReleaseOfLateManager(t *testing.T) {
	t.Parallel()
	timeout := patience.Of(10 * time.Second)
	d := startLocal(t, "tcp", append(lateManager(t, timeout), "HEIRLOOM_TEST_ROLE=releasing")...)
	d.reload()
	d.awaitFile("has-2")
	if ran, share := hooksRan(t, d, "1"); !slices.Equal(ran, []string{"store"}) || share > timeout {
		t.Errorf("%v were given up, and the first had %v, want less than %v", ran, share, timeout)
	}
}

// TestReleaseDeath has a process die that has not given up what it has.
func TestReleaseDeath(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=releasing")
	d.begin(d.dial(), "slow", "")
	d.reload()
	d.eventually("the drain", func() bool { return len(d.status().Predecessors) == 1 })
	if d.has("has-2") {
		t.Error("told while the process lives")
	}
	if err := syscall.Kill(d.first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.awaitFile("has-2")
	if d.has("gave-1") {
		t.Error("it was given up")
	}
}
