package lifecycle_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// slowStart is a program that says when it catches signals, repeats each that
// it gets, and calls Run when standard input ends.
func slowStart(options lifecycle.Options) error {
	if os.Getenv("HEIRLOOM_TEST_PROFILES") != "" {
		options.ProfileDirectory = os.Getenv("HEIRLOOM_TEST_PROFILES")
		options.ReloadSignals = []os.Signal{syscall.SIGHUP}
		options.ProfileSignals = []os.Signal{syscall.SIGUSR2}
	}
	options.LameDuck = duration("HEIRLOOM_TEST_LAME")
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	seen := make(chan os.Signal, 1000)
	signal.Notify(seen, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for sig := range seen {
			fmt.Println("got", sig)
		}
	}()
	fmt.Println("starting")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return service.Run(context.Background())
}

// A starting is a slowStart before Run.
type starting struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
	log   *safeBuffer
}

func startSlowly(t *testing.T, env ...string) *starting {
	t.Helper()
	s := &starting{t: t, cmd: exec.Command(os.Args[0]), log: new(safeBuffer)}
	s.cmd.Env = append(os.Environ(), "HEIRLOOM_TEST_ROLE=slow start", "RUNTIME_DIRECTORY="+t.TempDir(), "GORACE=atexit_sleep_ms=0")
	s.cmd.Env = append(s.cmd.Env, env...)
	s.cmd.Stderr = s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.stdin, s.lines = stdin, bufio.NewScanner(stdout)
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("log:\n%s", s.log)
		}
	})
	s.expect("starting")
	return s
}

func (s *starting) expect(want string) {
	s.t.Helper()
	for s.lines.Scan() {
		if s.lines.Text() == want {
			return
		}
	}
	s.t.Fatalf("the program ended without %q", want)
}

// signal sends a signal so many times, each when the last has arrived: the
// kernel and the runtime make one of several at once.
func (s *starting) signal(sig syscall.Signal, times int) {
	s.t.Helper()
	for range times {
		if err := s.cmd.Process.Signal(sig); err != nil {
			s.t.Fatal(err)
		}
		s.expect("got " + sig.String())
	}
}

// run lets the program call Run and returns how it ended. It is killed when it
// does not end.
func (s *starting) run() error {
	s.t.Helper()
	_ = s.stdin.Close()
	ended := make(chan error, 1)
	go func() {
		for s.lines.Scan() { // for it to write on
		}
	}()
	go func() { ended <- s.cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(patience.Of(long)):
		s.t.Error("the program does not stop")
		s.kill()
		return <-ended
	}
}

// long is how long a test waits for what should come at once, as package
// patience stretches it.
const long = 2 * time.Minute

// kill ends the program and its successors.
func (s *starting) kill() { _ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) }

// TestStopBehindOthers sends signals to stop behind many others while the
// program starts: it stops as soon as it runs.
func TestStopBehindOthers(t *testing.T) {
	for _, before := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2} {
		for _, stop := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(fmt.Sprintf("%v behind %v", stop, before), func(t *testing.T) {
				t.Parallel()
				s := startSlowly(t)
				s.signal(before, 40)
				s.signal(stop, 1)
				if err := s.run(); err != nil {
					t.Error(err)
				}
				if strings.Contains(s.log.String(), "reloading") {
					t.Error("a reload was begun though the service was told to stop")
				}
			})
		}
	}
}

// TestStopTwiceBehindOthers tells the service twice to stop, behind many
// signals to reload: the second is not lost either.
func TestStopTwiceBehindOthers(t *testing.T) {
	t.Parallel()
	s := startSlowly(t, "HEIRLOOM_TEST_LAME=1h", "HEIRLOOM_TEST_DRAIN=3h")
	s.signal(syscall.SIGHUP, 40)
	s.signal(syscall.SIGTERM, 2)
	_ = s.run()
	if !strings.Contains(s.log.String(), "told to stop a second time") {
		t.Error("the log does not speak of the second signal")
	}
}

// TestProfileBehindStacks asks for a profile behind many signals for stacks.
func TestProfileBehindStacks(t *testing.T) {
	t.Parallel()
	s := startSlowly(t, "HEIRLOOM_TEST_PROFILES="+t.TempDir())
	s.signal(syscall.SIGUSR1, 40)
	s.signal(syscall.SIGUSR2, 1)
	_ = s.stdin.Close()
	if err := eventually(func() bool { return strings.Contains(s.log.String(), "CPU profile started") }); err != nil {
		t.Error("the signal for a profile was lost")
	}
	s.signal(syscall.SIGTERM, 1)
	if err := s.run(); err != nil {
		t.Error(err)
	}
}

// TestReloadSignalsJoin sends signals to reload while a reload is under way:
// there is one more reload for all of them.
func TestReloadSignalsJoin(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=slow successor", "HEIRLOOM_TEST_RELOAD=1h")
	pid := d.status().PID
	d.signal(syscall.SIGHUP)
	for i := 1; i <= 40; i++ {
		if i > 1 {
			_ = syscall.Kill(pid, syscall.SIGHUP)
		}
		d.eventually("the signal to arrive", func() bool { return strings.Contains(d.logged(), fmt.Sprintf("hangup %d in 1\n", i)) })
	}
	if err := os.WriteFile(filepath.Join(d.dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	d.eventually("a second reload", func() bool { return strings.Count(d.logged(), "handed over:") == 2 })
	d.eventually("the third generation to be alone", func() bool { return len(d.processes()) == 1 })
	d.signal(syscall.SIGTERM)
	d.eventually("it to end", func() bool { return len(d.processes()) == 0 })
	if n := strings.Count(d.logged(), "handed over:"); n != 2 {
		t.Errorf("%d reloads, want one and another for all who asked meanwhile", n)
	}
}

// slowSuccessor is a program that counts the signals to reload that it gets,
// and of which each generation but the first waits for a file named go.
func slowSuccessor(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	seen := make(chan os.Signal, 1000)
	signal.Notify(seen, syscall.SIGHUP)
	go func() {
		for n := 1; ; n++ {
			<-seen
			fmt.Fprintf(os.Stderr, "hangup %d in %d\n", n, service.Generation())
		}
	}()
	if service.Generation() > 1 {
		if err := eventually(func() bool {
			_, err := os.Stat(filepath.Join(os.Getenv("RUNTIME_DIRECTORY"), "go"))
			return err == nil
		}); err != nil {
			return err
		}
	}
	return service.Run(context.Background())
}
