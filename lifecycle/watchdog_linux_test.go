package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/notify"
)

// A listening is a service manager that only listens.
type listening struct {
	t        *testing.T
	path     string
	stores   bool // the descriptors that it is to, where FDSTORE was set before
	messages chan string
}

// listenAsManager makes the test's process one that a service manager has
// started, which expects signs of life as often as usec says, unless that is
// empty.
func listenAsManager(t *testing.T, usec string) *listening {
	t.Helper()
	l := &listening{t: t, path: filepath.Join(t.TempDir(), "notify"), stores: os.Getenv("FDSTORE") != "", messages: make(chan string, 1000)}
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: l.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	go l.read(socket)
	t.Setenv("NOTIFY_SOCKET", l.path)
	t.Setenv("SYSTEMD_EXEC_PID", fmt.Sprint(os.Getpid()))
	t.Setenv("WATCHDOG_USEC", usec)
	return l
}

func (l *listening) read(socket *net.UnixConn) {
	text, rights := make([]byte, 4096), make([]byte, 4096)
	var stored []int
	defer func() { fdutil.CloseAll(stored) }()
	for {
		n, oobn, _, _, err := socket.ReadMsgUnix(text, rights)
		if err != nil {
			return
		}
		messages, _ := unix.ParseSocketControlMessage(rights[:oobn])
		for _, m := range messages {
			fds, _ := unix.ParseUnixRights(&m)
			if l.stores && hasLine(string(text[:n]), "FDSTORE=1") {
				stored = append(stored, fds...)
			} else { // those of a barrier
				fdutil.CloseAll(fds)
			}
		}
		l.messages <- string(text[:n])
	}
}

func (l *listening) next() string {
	l.t.Helper()
	select {
	case m := <-l.messages:
		return m
	case <-time.After(patience.Of(30 * time.Second)):
		l.t.Fatal("the service manager is told nothing more")
		return ""
	}
}

// await reads until a message has that line.
func (l *listening) await(line string) {
	l.t.Helper()
	for !hasLine(l.next(), line) {
	}
}

func hasLine(message, line string) bool { return strings.Contains("\n"+message+"\n", "\n"+line+"\n") }

// count counts the messages with that line which were sent until now.
func (l *listening) count(line string) (n int) {
	l.t.Helper()
	const mark = "X_MARK=1"
	nc, err := net.Dial("unixgram", l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Write([]byte(mark)); err != nil {
		l.t.Fatal(err)
	}
	for m := l.next(); m != mark; m = l.next() {
		if hasLine(m, line) {
			n++
		}
	}
	return n
}

const sign = "WATCHDOG=1"

// TestWatchdog goes through what a health check may do, and counts the signs of
// life that come of it.
func TestWatchdog(t *testing.T) {
	watchdog := patience.Of(400 * time.Millisecond).Truncate(2 * time.Millisecond)
	manager := listenAsManager(t, fmt.Sprint(watchdog.Microseconds()))
	var p *patient
	p = newPatient(t, lifecycle.Options{Health: func(ctx context.Context) error { return p.check(ctx) }})
	release := make(chan struct{})
	p.service.Defer("wait", func(context.Context) error { <-release; return nil })
	p.run()
	manager.await("READY=1")
	if m := manager.next(); m != sign {
		t.Errorf("after READY=1 the manager is told %q, want %s before any check", m, sign)
	}

	p.pass(manager)
	sick := errors.New("sick")
	p.say(sick, sick)
	manager.count(sign) // those that were on their way
	p.say(errors.New("panic"), sick)
	p.beAsked()
	if n := manager.count(sign); n != 0 {
		t.Errorf("%d signs of life while the check fails", n)
	}
	p.verdict <- nil
	p.pass(manager)

	ctx := p.beAsked()  // and hangs
	manager.count(sign) // those that were on their way
	p.awaitLog("did not end within " + (watchdog / 2).String())
	<-ctx.Done()
	if n := manager.count(sign); n != 0 {
		t.Errorf("%d signs of life while the check hangs", n)
	}
	if status, text := probe(p.service.Liveness()); status != http.StatusServiceUnavailable || !strings.Contains(text, "did not end within 1s") {
		t.Errorf("liveness is %d %q while the check hangs", status, text) // and p.asked has no second check
	}
	p.verdict <- nil
	p.pass(manager)

	p.beAsked()
	p.stop()
	manager.await("STOPPING=1")
	for range 3 { // on the way out, whatever the check says
		manager.await(sign)
	}
	p.verdict <- sick
	manager.await(sign)
	close(release)
	manager.await("WATCHDOG_USEC=0")
	p.awaitEnd()
	if n := manager.count(sign); n != 0 {
		t.Errorf("%d signs of life after the end", n)
	}
	p.checkFailuresLogged()
}

// checkFailuresLogged checks that of failures in a row the first is logged,
// and no other. There were two rows at least, and more where checks were told
// too late.
func (p *patient) checkFailuresLogged() {
	p.t.Helper()
	rows, fails := 0, false
	for line := range strings.Lines(p.log.String()) {
		switch {
		case strings.Contains(line, "the health check passes again"):
			fails = false
		case strings.Contains(line, "the health check fails"):
			if fails {
				p.t.Errorf("after another failure this one is logged: %s", line)
			}
			rows, fails = rows+1, true
		}
	}
	if rows < 2 {
		p.t.Errorf("%d failures are logged", rows)
	}
}

// TestWatchdogPassesBy has services without a watchdog.
func TestWatchdogPassesBy(t *testing.T) {
	t.Run("none is on", func(t *testing.T) {
		manager := listenAsManager(t, "")
		p := newPatient(t, lifecycle.Options{})
		p.run()
		p.awaitState(lifecycle.Ready)
		p.stop()
		p.awaitEnd()
		if n := manager.count(sign); n != 0 {
			t.Errorf("%d signs of life", n)
		}
	})
	t.Run("of another process", func(t *testing.T) {
		manager := listenAsManager(t, "100000")
		t.Setenv("WATCHDOG_PID", "1")
		p := newPatient(t, lifecycle.Options{})
		p.run()
		p.awaitState(lifecycle.Ready)
		p.stop()
		p.awaitEnd()
		if n := manager.count(sign); n != 0 {
			t.Errorf("%d signs of life", n)
		}
	})
	t.Run("nonsense", func(t *testing.T) {
		listenAsManager(t, "soon")
		if _, err := lifecycle.New(lifecycle.Options{}); !errors.Is(err, notify.ErrInvalid) || !strings.Contains(err.Error(), `WATCHDOG_USEC="soon"`) {
			t.Errorf("New: %v, want ErrInvalid and the variable", err)
		}
	})
	t.Run("nonsense without a manager", func(t *testing.T) {
		t.Setenv("WATCHDOG_USEC", "soon")
		p := newPatient(t, lifecycle.Options{})
		p.run()
		p.awaitState(lifecycle.Ready)
		p.stop()
		p.awaitEnd()
	})
}

// TestDead has a probe find the process dead: the manager is told at once, and
// once.
func TestDead(t *testing.T) {
	manager := listenAsManager(t, "")
	dead := fmt.Errorf("no pulse: %w", lifecycle.ErrDead)
	p := newPatient(t, lifecycle.Options{Health: func(context.Context) error { return dead }})
	p.run()
	manager.await("READY=1")
	for range 3 {
		if err := eventually(func() bool { // a check that takes a second here has not ended in time
			status, text := probe(p.service.Liveness())
			if status != http.StatusServiceUnavailable {
				t.Errorf("liveness is %d %q", status, text)
			}
			return text == dead.Error()
		}); err != nil {
			t.Error("liveness does not have the check's error")
		}
	}
	manager.await("WATCHDOG=trigger")
	p.stop()
	p.awaitEnd()
	if n := manager.count("WATCHDOG=trigger"); n != 0 {
		t.Errorf("the manager was told %d times more", n)
	}
}
