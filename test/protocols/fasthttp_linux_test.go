package protocols_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/freeport"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A fasthttpd is the program of that name, without systemd.
type fasthttpd struct {
	t       *testing.T
	address string
	group   int         // of all generations
	stdin   io.Closer   // of all, too
	said    chan string // lines of all
	ended   chan error  // of the first
}

func startFasthttpd(t *testing.T) *fasthttpd {
	t.Helper()
	d := &fasthttpd{t: t, address: freeport.Address(t, "tcp"), said: make(chan string, 10000), ended: make(chan error, 1)}
	cmd := exec.Command(fasthttpProgram)
	cmd.Env = append(os.Environ(), "ADDR="+d.address, "RUNTIME_DIRECTORY="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	if d.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	d.group = cmd.Process.Pid
	t.Cleanup(func() { _ = syscall.Kill(-d.group, syscall.SIGKILL) })
	go func() { d.ended <- cmd.Wait() }()
	go func() {
		defer close(d.said) // when all generations have ended
		defer read.Close()
		for lines := bufio.NewScanner(read); lines.Scan(); {
			d.said <- lines.Text()
		}
	}()
	d.await("ready: generation=1")
	return d
}

// await waits for the program to say something.
func (d *fasthttpd) await(text string) (line string) {
	d.t.Helper()
	limit := time.After(patience.Of(2 * time.Minute))
	for {
		select {
		case line, ok := <-d.said:
			if strings.Contains(line, text) {
				return line
			}
			if !ok {
				d.t.Fatalf("the program ended without %q", text)
			}
			if strings.Contains(line, "[WARN]") || strings.Contains(line, "[ERROR]") {
				d.t.Error(line)
			}
			d.t.Log(line)
		case <-limit:
			d.t.Fatalf("the program does not say %q", text)
		}
	}
}

// pid returns the process of a line that says it.
func pid(t *testing.T, line string) (pid int) {
	t.Helper()
	_, after, _ := strings.Cut(line, " pid=")
	if _, err := fmt.Sscan(after, &pid); err != nil {
		t.Fatalf("no pid in %q", line)
	}
	return pid
}

func (d *fasthttpd) request(path, headers string) net.Conn {
	d.t.Helper()
	nc, err := net.Dial("tcp", d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = nc.Close() })
	if _, err := fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n", path, headers); err != nil {
		d.t.Fatal(err)
	}
	return nc
}

func readBody(nc net.Conn) (string, error) {
	response, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// TestFasthttp reloads and stops a server of fasthttp, with a request under
// way, idle connections, and clients with a connection for each request: all
// requests are answered, idle connections hold up nobody.
func TestFasthttp(t *testing.T) {
	d := startFasthttpd(t)
	idle := d.request("/", "")
	if body, err := readBody(idle); err != nil || body != "generation 1" {
		t.Fatalf("%q, %v", body, err)
	}
	slow := d.request("/slow", "")
	d.await("slow")

	stop := make(chan struct{})
	var requests, broken atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				requests.Add(1)
				if body, err := askOnce(d.address); err != nil || !strings.HasPrefix(body, "generation ") {
					broken.Add(1)
					t.Errorf("a request: %q, %v", body, err)
					return
				}
			}
		})
	}
	serving := d.group
	for generation := 2; generation <= 11; generation++ {
		if err := syscall.Kill(serving, syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		serving = pid(t, d.await(fmt.Sprintf("handed over: generation=%d ", generation)))
	}
	close(stop)
	clients.Wait()
	t.Logf("%d requests, %d broken", requests.Load(), broken.Load())

	_ = idle.SetReadDeadline(patience.Deadline(time.Minute))
	if n, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the idle connection: %d, %v, want its end", n, err)
	}
	late := d.request("/", "") // idle when the service stops
	if body, err := readBody(late); err != nil || body != "generation 11" {
		t.Errorf("after the reloads: %q, %v", body, err)
	}
	_ = d.stdin.Close()
	if body, err := readBody(slow); err != nil || body != "generation 1" {
		t.Errorf("the slow request: %q, %v, want an answer from generation 1", body, err)
	}
	if err := <-d.ended; err != nil {
		t.Errorf("the first generation: %v", err)
	}
	if err := syscall.Kill(serving, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.awaitEnd() // of all, long before the 90 seconds that a stop may take
}

// awaitEnd waits for all generations to end well.
func (d *fasthttpd) awaitEnd() {
	d.t.Helper()
	limit := time.After(patience.Of(time.Minute))
	for {
		select {
		case line, ok := <-d.said:
			if !ok {
				return
			}
			if strings.Contains(line, "[WARN]") || strings.Contains(line, "[ERROR]") || strings.Contains(line, "fasthttpd: ") && !strings.Contains(line, "]") {
				d.t.Error(line)
			}
		case <-limit:
			d.t.Fatal("the program does not end")
		}
	}
}

func askOnce(address string) (string, error) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	if _, err := fmt.Fprint(nc, "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"); err != nil {
		return "", err
	}
	return readBody(nc)
}
