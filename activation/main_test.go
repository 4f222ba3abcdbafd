//go:build linux

package activation_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

const (
	roleVar = "ACTIVATION_TEST_ROLE"
	argsVar = "ACTIVATION_TEST_ARGS"
	self    = "self" // stands for the child's own pid or pidfd id in a variable's value
)

// roles are what the test binary does when it is started as a child. Every role
// must be used.
var roles = map[string]func(*child){}

// used is written by tests in this process only.
var used = map[string]bool{}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		runRole(role)
		return
	}
	code := leakcheck.Run(m.Run)
	if code == 0 && len(os.Args) > 1 && !slices.ContainsFunc(os.Args, isSelection) {
		for role := range roles {
			if !used[role] {
				fmt.Fprintf(os.Stderr, "the role %q is used by no test\n", role)
				code = 1
			}
		}
	}
	os.Exit(code)
}

func isSelection(arg string) bool {
	for _, flag := range []string{"-test.run=", "-test.skip=", "-test.fuzz=", "-test.list="} {
		if strings.HasPrefix(arg, flag) {
			return true
		}
	}
	return false
}

// child is the test inside a started process. Its first failure ends it with
// status 1.
type child struct {
	args  []string
	start map[int]string
}

func runRole(role string) {
	for variable, own := range map[string]func() string{
		"LISTEN_PID":     func() string { return strconv.Itoa(os.Getpid()) },
		"LISTEN_PIDFDID": func() string { id, _ := activation.OwnPIDFDID(); return strconv.FormatUint(id, 10) },
	} {
		if os.Getenv(variable) == self {
			os.Setenv(variable, own())
		}
	}
	c := &child{args: strings.Split(os.Getenv(argsVar), "|"), start: openFiles()}
	roles[role](c)
	os.Exit(0)
}

func (c *child) fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func (c *child) must(err error) {
	if err != nil {
		c.fatalf("unexpected error: %v", err)
	}
}

func (c *child) equal(what string, got, want any) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.fatalf("%s: got %v, want %v", what, got, want)
	}
}

func (c *child) inherit() *activation.Table {
	table, err := activation.Inherit()
	c.must(err)
	return table
}

// done closes the table and fails if a descriptor is open that was not before,
// or if a handed one still is.
func (c *child) done(table *activation.Table, handed int) {
	c.must(table.Close())
	c.must(table.Close())
	c.onlyOpen(handed)
}

func (c *child) onlyOpen(handed int) {
	for fd, what := range openFiles() {
		if fd >= 3 && fd < 3+handed {
			c.fatalf("handed descriptor %d is still open: %s", fd, what)
		}
		if _, before := c.start[fd]; !before {
			c.fatalf("descriptor %d leaked: %s", fd, what)
		}
	}
}

// openFiles lists this process's descriptors, after it has made the runtime
// open those of its own.
func openFiles() map[int]string {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	names, _ := os.ReadDir("/proc/self/fd")
	open := map[int]string{}
	for _, name := range names {
		fd, _ := strconv.Atoi(name.Name())
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			open[fd], _ = os.Readlink("/proc/self/fd/" + name.Name())
		}
	}
	return open
}

// start describes a child: a role, its variables and the files it gets from
// descriptor 3 on.
type start struct {
	role  string
	args  []string
	env   map[string]string
	files []*os.File
}

// named gives the usual variables of a service manager.
func named(names ...string) map[string]string {
	return map[string]string{"LISTEN_FDS": strconv.Itoa(len(names)), "LISTEN_FDNAMES": strings.Join(names, ":"), "LISTEN_PID": self}
}

func (s start) command(t *testing.T) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	used[s.role] = true
	ctx, cancel := patience.Context(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0])
	// A race-enabled program otherwise waits a second at its end for more to
	// report.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", roleVar+"="+s.role, argsVar+"="+strings.Join(s.args, "|"))
	for _, variable := range slices.Sorted(maps.Keys(s.env)) {
		cmd.Env = append(cmd.Env, variable+"="+s.env[variable])
	}
	cmd.ExtraFiles = s.files
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	return cmd, &output
}

func (s start) run(t *testing.T) {
	t.Helper()
	cmd, output := s.command(t)
	if err := cmd.Run(); err != nil {
		t.Errorf("child %s: %v\n%s", s.role, err, output)
	}
}

// begin starts the child and returns what waits for its good end.
func (s start) begin(t *testing.T) (wait func()) {
	t.Helper()
	cmd, output := s.command(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := cmd.Wait(); err != nil {
			t.Errorf("child %s: %v\n%s", s.role, err, output)
		}
	}
}

// dup gives another descriptor for the same socket without touching its
// blocking mode, as (*net.TCPListener).File would.
func dup(t *testing.T, socket any) *os.File {
	t.Helper()
	raw, err := socket.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fd := -1
	if err := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fileOf(t, fd)
}

func fileOf(t *testing.T, fd int) *os.File {
	file := os.NewFile(uintptr(fd), "handed")
	t.Cleanup(func() { file.Close() })
	return file
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func listenPacket(t *testing.T, network, address string) net.PacketConn {
	t.Helper()
	conn, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// socketpair returns two connected Unix sockets of the type.
func socketpair(t *testing.T, kind int) (a, b *os.File) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fileOf(t, pair[0]), fileOf(t, pair[1])
}
