package lifecycle_test

import (
	"bufio"
	"bytes"
	"context"
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
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// A local is the daemon without systemd.
type local struct {
	t       *testing.T
	dir     string
	network string
	address string
	env     []string
	log     *os.File
	exited  chan error // of the first generation
}

// startLocal starts the daemon on a free port, or with network "unix" on a path.
func startLocal(t *testing.T, network string, env ...string) *local {
	t.Helper()
	dir := t.TempDir()
	d := &local{t: t, dir: dir, network: network, address: filepath.Join(dir, "http"), exited: make(chan error, 1)}
	if network == "tcp" {
		d.address = freeAddress(t)
	}
	d.env = append(os.Environ(), "HEIRLOOM_TEST_ROLE=daemon", "RUNTIME_DIRECTORY="+dir, "HEIRLOOM_TEST_LISTEN="+network+"!"+d.address,
		"GORACE=atexit_sleep_ms=0") // which the race detector would else spend at the end of every process
	d.env = append(d.env, env...)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	d.log = log
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stdout, cmd.Stderr = d.env, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.exited <- cmd.Wait() }()
	t.Cleanup(d.end)
	d.eventually("the daemon to be ready", func() bool {
		_, err := d.command("status")
		return err == nil
	})
	return d
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
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
	for _, pid := range d.processes() {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	if err := eventually(func() bool { return len(d.processes()) == 0 }); err != nil {
		d.t.Errorf("processes left after SIGTERM: %v", d.processes())
		for _, pid := range d.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
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

func (d *local) command(args ...string) (string, error) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = d.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (d *local) reload() {
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

// processes finds the generations by the variable that they inherit; commands have it too, but are children of the test.
func (d *local) processes() []int {
	var pids []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		env, err := os.ReadFile(dir + "/environ")
		if err != nil || !bytes.Contains(env, []byte("RUNTIME_DIRECTORY="+d.dir+"\x00")) {
			continue
		}
		cmdline, _ := os.ReadFile(dir + "/cmdline")
		if len(cmdline) > 0 && bytes.Count(cmdline, []byte{0}) == 1 {
			var pid int
			_, _ = fmt.Sscan(filepath.Base(dir), &pid)
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
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

// answer reads an answer, checks which generation it is from, and returns whether it announces the end of the connection.
func (c *client) answer(generation int) (closes bool) {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(15 * time.Second))
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

// closed checks that the server closes the connection, having sent nothing more.
func (c *client) closed() {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(15 * time.Second))
	if b, err := c.reader.ReadByte(); !errors.Is(err, io.EOF) {
		c.t.Errorf("read %q, %v, want the end of the connection", b, err)
	}
}

func (d *local) awaitExit() error {
	d.t.Helper()
	select {
	case err := <-d.exited:
		return err
	case <-time.After(15 * time.Second):
		d.t.Fatalf("the process does not end\n%s", d.logged())
		return nil
	}
}

var background = context.Background()
