//go:build linux

package activation_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

func init() {
	roles["describe"] = describe
	roles["nothing"] = nothing
	roles["aside"] = aside
	roles["malformed"] = malformedRole
}

// describe is handed one file of each kind and prints what the table says of
// them.
func describe(c *child) {
	table := c.inherit()
	for i, f := range table.Files() {
		want := c.args[i]
		c.equal("fd", f.FD, 3+i)
		c.equal("description", f.String(), want)
		flags, err := unix.FcntlInt(uintptr(f.FD), unix.F_GETFD, 0)
		c.must(err)
		c.equal("close-on-exec of "+want, flags, unix.FD_CLOEXEC)
	}
	c.equal("number of files", len(table.Files()), len(c.args))
	c.equal("ignored", table.Ignored(), nil)
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "LISTEN_") || strings.HasPrefix(variable, "REMOTE_") || strings.HasPrefix(variable, "HEIRLOOM_PREDECESSOR=") {
			c.fatalf("still set: %s", variable)
		}
	}
	again := c.inherit()
	c.equal("second call", len(again.Files()), 0)
	c.done(table, len(c.args))
	c.equal("files after Close", len(table.Files()), len(c.args))
}

// handouts collects files to hand to the role describe, and what it must say of
// each.
type handouts struct {
	names, want []string
	files       []*os.File
}

func (h *handouts) add(file *os.File, kind, address string) {
	name := strings.ReplaceAll(kind, ":", ".")
	h.names, h.files = append(h.names, name), append(h.files, file)
	h.want = append(h.want, strconv.Quote(name)+" (fd "+strconv.Itoa(2+len(h.files))+", "+kind+", "+address+")")
}

func (h *handouts) describe(t *testing.T) {
	t.Helper()
	env := named(h.names...)
	env["LISTEN_PIDFDID"] = self
	env["REMOTE_ADDR"], env["REMOTE_PORT"] = "192.0.2.1", "1"
	start{role: "describe", args: h.want, env: env, files: h.files}.run(t)
}

func TestInheritDescribesSockets(t *testing.T) {
	leakcheck.Check(t)
	var h handouts
	dir := t.TempDir()
	for _, address := range []string{"127.0.0.1:0", ":0", "[::1]:0"} {
		tcp := listen(t, "tcp", address)
		h.add(dup(t, tcp), "tcp listener", tcp.Addr().String())
	}
	plain := listenPlainTCP(t)
	h.add(dup(t, plain), "tcp listener", plain.Addr().String())
	udp := listenPacket(t, "udp", "127.0.0.1:0")
	h.add(dup(t, udp), "udp socket", udp.LocalAddr().String())
	if os.Geteuid() == 0 { // raw sockets are root's alone
		h.add(dup(t, listenPacket(t, "ip4:icmp", "127.0.0.1")), "ip socket", "127.0.0.1")
	}
	for _, path := range []string{filepath.Join(dir, "s"), "@heirloom-test-" + strconv.Itoa(os.Getpid())} {
		h.add(dup(t, listen(t, "unix", path)), "unix listener", path)
	}
	h.add(dup(t, listen(t, "unixpacket", filepath.Join(dir, "p"))), "unixpacket listener", filepath.Join(dir, "p"))
	h.add(dup(t, listenPacket(t, "unixgram", filepath.Join(dir, "g"))), "unixgram socket", filepath.Join(dir, "g"))
	vsock, err := activation.Bind("vsock", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer vsock.Close()
	h.add(dup(t, vsock), "vsock listener", vsock.Addr().String())
	pair, _ := socketpair(t, unix.SOCK_STREAM)
	h.add(pair, "unix socket, not listening", "no address")
	server, client := accepted(t)
	h.add(dup(t, server), "tcp connection from "+client.LocalAddr().String(), server.LocalAddr().String())
	h.add(openNetlink(t), "netlink socket", "no address")
	h.describe(t)
}

func TestInheritDescribesFiles(t *testing.T) {
	leakcheck.Check(t)
	var h handouts
	dir := t.TempDir()
	h.add(openFIFO(t, filepath.Join(dir, "fifo")), "fifo", filepath.Join(dir, "fifo"))
	h.add(openPath(t, filepath.Join(dir, "file")), "file", filepath.Join(dir, "file"))
	h.add(openPath(t, "/dev/null"), "char", "/dev/null")
	h.add(openDirectory(t, dir), "directory", dir)
	queue := "/heirloom-test-" + strconv.Itoa(os.Getpid())
	h.add(openQueue(t, queue), "mqueue", queue+" (deleted)")
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	h.add(fileOf(t, event), "anon", "anon_inode:[eventfd]")
	h.describe(t)
}

// listenPlainTCP is TCP alone, while net.Listen makes a socket for MPTCP.
func listenPlainTCP(t *testing.T) net.Listener {
	t.Helper()
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	ln, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func openNetlink(t *testing.T) *os.File {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	return fileOf(t, fd)
}

func openFIFO(t *testing.T, path string) *os.File {
	t.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fileOf(t, fd)
}

func openPath(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func openDirectory(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// openQueue is mq_open(3), which x/sys does not have; the system call takes the
// name without its slash.
func openQueue(t *testing.T, name string) *os.File {
	t.Helper()
	path, err := unix.BytePtrFromString(name[1:])
	if err != nil {
		t.Fatal(err)
	}
	fd, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(path)), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600, 0, 0, 0)
	if errno != 0 {
		t.Fatal("mq_open: ", errno)
	}
	if _, _, errno := unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(path)), 0, 0); errno == 0 {
		return fileOf(t, int(fd))
	}
	t.Fatal("mq_unlink failed")
	return nil
}

func nothing(c *child) {
	table := c.inherit()
	c.equal("files", len(table.Files()), 0)
	c.equal("ignored", table.Ignored(), nil)
	conn, pid := table.Predecessor()
	c.equal("predecessor", conn == nil && pid == 0, true)
	_, err := table.OpenFile("x")
	c.equal("no file", errors.Is(err, fs.ErrNotExist), true)
	_, err = table.Listeners("x")
	c.equal("no listeners", errors.Is(err, fs.ErrNotExist), true)
	_, err = table.Connection()
	c.equal("no connection", errors.Is(err, fs.ErrNotExist), true)
	ln, err := table.Listen("x", "tcp", "127.0.0.1:0")
	c.must(err)
	c.must(ln.Close())
	c.done(table, 0)
	ln, err = table.Listen("x", "tcp", "127.0.0.1:0")
	c.must(err)
	c.must(ln.Close())
}

func TestInheritNothing(t *testing.T) {
	leakcheck.Check(t)
	for name, env := range map[string]map[string]string{
		"no variables": nil,
		"zero files":   {"LISTEN_PID": self, "LISTEN_FDS": "0"},
	} {
		t.Run(name, func(t *testing.T) { start{role: "nothing", env: env}.run(t) })
	}
}

// aside is handed a descriptor that is not for it: the table is empty and the
// descriptor untouched.
func aside(c *child) {
	table := c.inherit()
	c.equal("files", len(table.Files()), 0)
	if err := table.Ignored(); err == nil || !strings.Contains(err.Error(), c.args[0]) {
		c.fatalf("ignored: %v", err)
	}
	c.equal("variable", os.Getenv("LISTEN_FDS"), "")
	c.must(table.Close())
	_, err := unix.FcntlInt(3, unix.F_GETFD, 0)
	c.must(err)
}

func TestInheritForAnother(t *testing.T) {
	leakcheck.Check(t)
	for name, test := range map[string]struct {
		why string
		env map[string]string
	}{
		"pid":          {"LISTEN_PID=1 ", map[string]string{"LISTEN_PID": "1", "LISTEN_FDS": "1"}},
		"pidfd":        {"LISTEN_PIDFDID=5 ", map[string]string{"LISTEN_PID": self, "LISTEN_PIDFDID": "5", "LISTEN_FDS": "1"}},
		"nobody":       {"LISTEN_PID is not set", map[string]string{"LISTEN_FDS": "1"}},
		"garbage, too": {"LISTEN_PID=1 ", map[string]string{"LISTEN_PID": "1", "LISTEN_FDS": "-x"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := []*os.File{openPath(t, "/dev/null")}
			start{role: "aside", args: []string{test.why}, env: test.env, files: files}.run(t)
		})
	}
}

func malformedRole(c *child) {
	table, err := activation.Inherit()
	if table != nil || !errors.Is(err, activation.ErrMalformed) || !strings.Contains(err.Error(), c.args[0]) {
		c.fatalf("got %v, %v", table, err)
	}
	if c.args[1] != "" && !strings.Contains(err.Error(), c.args[1]) {
		c.fatalf("%v does not say %q", err, c.args[1])
	}
	c.equal("variables left", os.Getenv("LISTEN_FDS")+os.Getenv("LISTEN_FDNAMES")+os.Getenv("LISTEN_PID"), "")
	handed, _ := strconv.Atoi(c.args[2])
	c.onlyOpen(handed)
	again := c.inherit()
	c.equal("second call", len(again.Files()), 0)
}

func TestInheritMalformed(t *testing.T) {
	leakcheck.Check(t)
	for name, test := range map[string]struct {
		env    map[string]string
		says   string
		why    string
		closed string // how many of the two handed files must be closed after it
	}{
		"count":            {map[string]string{"LISTEN_PID": self, "LISTEN_FDS": "+2"}, `LISTEN_FDS="+2"`, "", "0"},
		"beyond the limit": {map[string]string{"LISTEN_PID": self, "LISTEN_FDS": "2000000000"}, `LISTEN_FDS="2000000000"`, "RLIMIT_NOFILE", "0"},
		"names":            {map[string]string{"LISTEN_PID": self, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a"}, `LISTEN_FDNAMES="a"`, "", "2"},
		"not there":        {map[string]string{"LISTEN_PID": self, "LISTEN_FDS": "60"}, "LISTEN_FDS=60", "was not handed", "2"},
		"one missing":      {map[string]string{"LISTEN_PID": self, "LISTEN_FDS": "3"}, "descriptor 5", "opened by this process", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			files := []*os.File{openPath(t, "/dev/null"), openPath(t, "/dev/null")}
			start{role: "malformed", args: []string{test.says, test.why, test.closed}, env: test.env, files: files}.run(t)
		})
	}
}
