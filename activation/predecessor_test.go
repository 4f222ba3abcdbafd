//go:build linux

package activation_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

func init() {
	roles["predecessor"] = predecessor
	roles["untrusted"] = untrusted
}

// predecessor is a successor that was started as Environ says, with the
// handover socket last.
func predecessor(c *child) {
	c.equal("first of two", os.Getenv("TWICE"), "first")
	c.equal("stale", os.Getenv("WATCHDOG_PID")+os.Getenv("SYSTEMD_EXEC_PID"), "")
	table := c.inherit()
	c.equal("ignored", table.Ignored(), nil)
	files := table.Files()
	c.equal("claimed at once", files[1].Claimed, true)
	_, err := table.Conns(activation.HandoverName)
	c.equal("not to be claimed", errors.Is(err, activation.ErrClaimed), true)
	conn, pid := table.Predecessor()
	c.equal("predecessor", pid, os.Getppid())
	again, pid := table.Predecessor()
	c.equal("second call", again == nil && pid == os.Getppid(), true)
	ln, err := table.Listen("web", "tcp", ":1")
	c.must(err)
	_, err = conn.Write([]byte(ln.Addr().String()))
	c.must(err)
	c.must(conn.Close())
	c.must(ln.Close())
	c.done(table, 2)
}

func TestPredecessor(t *testing.T) {
	leakcheck.Check(t)
	ln := listen(t, "tcp", "127.0.0.1:0")
	mine, theirs := socketpair(t, unix.SOCK_SEQPACKET)
	base := []string{"TWICE=first", "TWICE=second", "nonsense", "=empty", "WATCHDOG_PID=1", "SYSTEMD_EXEC_PID=1", "LISTEN_PID=1", "LISTEN_PIDFDID=1"}
	s := start{role: "predecessor", files: []*os.File{dup(t, ln), theirs}}
	cmd, output := s.command(t)
	env, err := activation.Environ(append(base, cmd.Env...), os.Getpid(), []string{"web", activation.HandoverName})
	if err != nil {
		t.Fatal(err)
	}
	// Not exec.Cmd: it would remove duplicates itself. The read end of its
	// output is the file.
	out := openPath(t, filepath.Join(t.TempDir(), "output"))
	pid, err := syscall.ForkExec(os.Args[0], os.Args[:1], &syscall.ProcAttr{Env: env, Files: []uintptr{0, out.Fd(), out.Fd(), s.files[0].Fd(), theirs.Fd()}})
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	child, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	state, err := child.Wait()
	if err != nil || !state.Success() {
		said, _ := os.ReadFile(out.Name())
		t.Fatalf("%v %v\n%s%s", state, err, said, output)
	}
	buf := make([]byte, 100)
	n, err := mine.Read(buf)
	if err != nil || string(buf[:n]) != ln.Addr().String() {
		t.Errorf("the successor listens at %q (%v), want %s", buf[:n], err, ln.Addr())
	}
}

// untrusted closes nothing, takes nothing, and leaves nothing to its children.
func untrusted(c *child) {
	table := c.inherit()
	c.equal("files", len(table.Files()), 0)
	if err := table.Ignored(); err == nil || !strings.Contains(err.Error(), "HEIRLOOM_PREDECESSOR=") || !strings.Contains(err.Error(), c.args[0]) {
		c.fatalf("ignored: %v", err)
	}
	conn, pid := table.Predecessor()
	c.equal("predecessor", conn == nil && pid == 0, true)
	c.must(table.Close())
	for _, fd := range []uintptr{3, 4} {
		flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0)
		c.must(err)
		c.equal("close-on-exec", flags, unix.FD_CLOEXEC)
	}
	c.equal("variable", os.Getenv("HEIRLOOM_PREDECESSOR")+os.Getenv("LISTEN_FDS"), "")
}

func TestPredecessorUntrusted(t *testing.T) {
	leakcheck.Check(t)
	_, packet := socketpair(t, unix.SOCK_SEQPACKET)
	_, stream := socketpair(t, unix.SOCK_STREAM)
	null := openPath(t, "/dev/null")
	waiting := dup(t, listen(t, "unixpacket", filepath.Join(t.TempDir(), "listening")))
	me := strconv.Itoa(os.Getpid())
	for name, test := range map[string]struct {
		pid, names string
		handover   *os.File
		why        string
	}{
		"of another process": {"1", "web:heirloom", packet, "comes from process " + me},
		"a stream":           {me, "web:heirloom", stream, "wrong type"},
		"listening":          {me, "web:heirloom", waiting, "wrong type"},
		"a file":             {me, "web:heirloom", null, "wrong type"},
		"no such name":       {me, "web:other", packet, `no file named "heirloom"`},
		"not there":          {me, "web:x:heirloom", packet, "was not handed"},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"LISTEN_FDS": strconv.Itoa(strings.Count(test.names, ":") + 1), "LISTEN_FDNAMES": test.names, "HEIRLOOM_PREDECESSOR": test.pid}
			start{role: "untrusted", args: []string{test.why}, env: env, files: []*os.File{null, test.handover}}.run(t)
		})
	}
}

func TestEnviron(t *testing.T) {
	base := []string{"A=1", "B=2", "A=3", "junk", "=x", "REMOTE_ADDR=y", "REMOTE_PORT=1", "LISTEN_FDS=9", "HEIRLOOM_PREDECESSOR=9", "C="}
	got, err := activation.Environ(base, 42, []string{"web", "", "heirloom"})
	want := []string{"A=1", "B=2", "C=", "LISTEN_FDS=3", "LISTEN_FDNAMES=web::heirloom", "HEIRLOOM_PREDECESSOR=42"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for name, call := range map[string]func() ([]string, error){
		"pid":   func() ([]string, error) { return activation.Environ(nil, 0, nil) },
		"name":  func() ([]string, error) { return activation.Environ(nil, 1, []string{"a:b"}) },
		"entry": func() ([]string, error) { return activation.Environ([]string{"A=\x00"}, 1, nil) },
	} {
		if env, err := call(); env != nil || !errors.Is(err, activation.ErrMalformed) {
			t.Errorf("%s: got %q, %v, want ErrMalformed", name, env, err)
		}
	}
}
