package lifecycle_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/freeport"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// A local is the daemon without systemd.
type local struct {
	t       *testing.T
	program string
	dir     string
	network string
	address string
	env     []string
	log     *os.File
	exited  chan error // of the first generation
	first   int        // its process
	secure  bool       // dial makes sessions of TLS
}

// startLocal starts the daemon on a free port, or with network "unix" on a
// path.
func startLocal(t *testing.T, network string, env ...string) *local {
	t.Helper()
	return startProgram(t, os.Args[0], network, env...)
}

// startProgram does so with another build of this one.
func startProgram(t *testing.T, program, network string, env ...string) *local {
	t.Helper()
	dir := t.TempDir()
	d := &local{t: t, program: program, dir: dir, network: network, address: filepath.Join(dir, "http"), exited: make(chan error, 1)}
	if network == "tcp" {
		d.address = freeport.Address(t, "tcp")
	}
	d.env = append(os.Environ(), "HEIRLOOM_TEST_ROLE=daemon", "RUNTIME_DIRECTORY="+dir, "HEIRLOOM_TEST_LISTEN="+network+"!"+d.address,
		"HEIRLOOM_TEST_RELOAD=5m",  // where it is not what is tested, it only ends what hangs
		"GORACE=atexit_sleep_ms=0") // which the race detector would else spend at the end of every process
	d.env = append(d.env, env...)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	d.log = log
	cmd := exec.Command(program)
	cmd.Env, cmd.Stdout, cmd.Stderr = d.env, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.first = cmd.Process.Pid
	go func() { d.exited <- cmd.Wait() }()
	t.Cleanup(d.end)
	d.eventually("the daemon to be ready", func() bool {
		_, err := d.command("status")
		return err == nil
	})
	return d
}

// reconfigure changes the configuration that the next generation reads.
func (d *local) reconfigure(listen string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, "listen"), []byte(listen), 0o644); err != nil {
		d.t.Fatal(err)
	}
}

func (d *local) end() {
	d.t.Helper()
	told := map[int]bool{} // once each: a second time means to end at once
	if err := eventually(func() bool {
		pids := d.processes()
		for _, pid := range pids {
			if !told[pid] {
				told[pid] = true
				_ = syscall.Kill(pid, syscall.SIGTERM)
			}
		}
		return len(pids) == 0
	}); err != nil {
		d.t.Errorf("processes left after SIGTERM: %v", d.processes())
	}
	killed, gone := leakcheck.Kill(d.mark()) // that have only just started, for instance
	if !gone {
		d.t.Errorf("processes left after SIGKILL: %v", d.processes())
	}
	for _, pid := range killed {
		told[pid] = true
	}
	for pid := range told {
		if pid != d.first { // a child of the test where it is started with CLONE_PARENT
			_, _ = syscall.Wait4(pid, nil, 0, nil)
		}
	}
	if strings.Contains(d.logged(), "DATA RACE") {
		d.t.Error("a data race in the daemon")
	}
	if d.t.Failed() {
		d.t.Logf("log:\n%s", d.logged())
	}
	_ = d.log.Close()
}

func (d *local) logged() string {
	data, _ := os.ReadFile(d.log.Name())
	return string(data)
}

func (d *local) eventually(what string, cond func() bool) {
	d.t.Helper()
	if err := eventually(cond); err != nil {
		d.t.Fatalf("waited for %s: %v\n%s", what, err, d.logged())
	}
}

// command does what the command of the daemon's program does, in this process:
// tests look at the status all the time, and to start a process for each look
// takes longer than all else.
func (d *local) command(args ...string) (string, error) {
	options := lifecycle.Options{Name: "daemon", ControlSocket: filepath.Join(d.dir, "control")}
	var out bytes.Buffer
	err := lifecycle.Command(d.t.Context(), options, args, &out)
	if err != nil {
		fmt.Fprintln(&out, "daemon:", err)
	}
	return out.String(), err
}

// run runs the command of the daemon's program.
func (d *local) run(args ...string) (string, error) {
	cmd := exec.Command(d.program, args...)
	cmd.Env = d.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (d *local) reload() {
	d.t.Helper()
	if out, err := d.run("reload"); err != nil {
		d.t.Fatalf("reload: %v: %s", err, out)
	}
}

// reloadHere is reload without a process for it, for tests that do it often.
func (d *local) reloadHere() {
	d.t.Helper()
	if out, err := d.command("reload"); err != nil {
		d.t.Fatalf("reload: %v: %s", err, out)
	}
}

func (d *local) status() lifecycle.Status {
	d.t.Helper()
	out, err := d.command("status", "-json")
	if err != nil {
		d.t.Fatalf("status: %v: %s", err, out)
	}
	var s lifecycle.Status
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		d.t.Fatalf("status: %v: %s", err, out)
	}
	return s
}

// mark is the variable by which the generations are found: they inherit it.
func (d *local) mark() string { return "RUNTIME_DIRECTORY=" + d.dir }

// processes are the generations that live. What they start, and commands, have
// arguments.
func (d *local) processes() []int {
	return slices.DeleteFunc(leakcheck.Started(d.mark()), func(pid int) bool {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return bytes.Count(cmdline, []byte{0}) != 1
	})
}

func (d *local) signal(sig syscall.Signal) {
	d.t.Helper()
	if err := syscall.Kill(d.status().PID, sig); err != nil {
		d.t.Fatal(err)
	}
}

// A client is one connection that is kept.
type client struct {
	t *testing.T
	net.Conn
	reader *bufio.Reader
}

func (d *local) dial() *client {
	d.t.Helper()
	if d.secure {
		return d.dialWith(new(tls.Config))
	}
	nc, err := net.Dial(d.network, d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = nc.Close() })
	return &client{d.t, nc, bufio.NewReader(nc)}
}

func (c *client) ask(path string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path); err != nil {
		c.t.Fatal(err)
	}
}

// begun names the file that a request asks its handler to make.
const begun = "begun"

var asked atomic.Int64

// underWay asks, and returns when the handler has begun. The status does not say
// so: a request counts before that, and until a little after its client has the
// response.
func (d *local) underWay(c *client, path string) {
	d.t.Helper()
	name := fmt.Sprintf("%s-%d", begun, asked.Add(1))
	separator := "?"
	if strings.Contains(path, separator) {
		separator = "&"
	}
	c.ask(path + separator + begun + "=" + name)
	d.eventually("the request to begin", func() bool { return exists(filepath.Join(d.dir, name)) })
}

// noteBegun is for the handler of such a request.
func noteBegun(r *http.Request) {
	if name := r.URL.Query().Get(begun); name != "" {
		if err := os.WriteFile(inRuntimeDirectory(name), nil, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// answer reads an answer, checks which generation it is from, and returns
// whether it announces the end of the connection.
func (c *client) answer(generation int) (closes bool) {
	c.t.Helper()
	_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || !strings.HasPrefix(string(body), fmt.Sprintf("hello from generation %d ", generation)) {
		c.t.Errorf("answer %q, %v, want one from generation %d", body, err, generation)
	}
	return response.Close
}

// closed checks that the server closes the connection, having sent nothing
// more.
func (c *client) closed() {
	c.t.Helper()
	c.closedAfter(0)
}

// closedAfter is closed where the server is to wait for so long before. That
// may have been stretched when the machine was slower than it is now.
func (c *client) closedAfter(after time.Duration) {
	c.t.Helper()
	_ = c.SetReadDeadline(patience.Deadline(long).Add(after))
	if b, err := c.reader.ReadByte(); !errors.Is(err, io.EOF) {
		c.t.Errorf("read %q, %v, want the end of the connection", b, err)
	}
}

func (d *local) awaitExit() error {
	d.t.Helper()
	select {
	case err := <-d.exited:
		return err
	case <-time.After(patience.Of(long)):
		d.t.Fatalf("the process does not end\n%s", d.logged())
		return nil
	}
}

var background = context.Background()
