package lifecycle_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/freeport"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

func init() { roles["crowded"] = crowded }

// longName is so long that a few hundred of its kind do not fit into a message.
func longName(i int) string { return fmt.Sprintf("%s-%04d", strings.Repeat("n", 150), i) }

// crowded serves HTTP, and has as many listeners and workers beside that as the
// files listeners, served, and workers say. The workers of a generation end
// with the first request to it whose body has been read.
func crowded(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	release := make(chan struct{})
	var once sync.Once
	network, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	l, err := service.Listen("http", network, address)
	if err != nil {
		return err
	}
	err = service.HTTP(l, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "hello from generation %d (pid %d, version test) read %d bytes\n", service.Generation(), os.Getpid(), n)
		once.Do(func() { close(release) })
	})})
	if err != nil {
		return err
	}
	for i := range numberIn("listeners") {
		if _, err := service.Listen(longName(i), "unix", fmt.Sprintf("@heirloom-%d-%d", os.Getpid(), i)); err != nil {
			return err
		}
	}
	for i := range numberIn("served") {
		l, err := service.Listen(longName(i), "unix", fmt.Sprintf("@heirloom-%s-%d", os.Getenv("RUNTIME_DIRECTORY"), i))
		if err != nil {
			return err
		}
		if err := service.HTTP(l, &http.Server{}); err != nil {
			return err
		}
	}
	for i := range numberIn("workers") {
		err := service.Go(longName(i), func(ctx context.Context) error {
			<-ctx.Done()
			<-release
			return nil
		})
		if err != nil {
			return err
		}
	}
	return service.Run(context.Background())
}

func numberIn(file string) (n int) {
	text, _ := os.ReadFile(inRuntimeDirectory(file))
	_, _ = fmt.Sscan(string(text), &n)
	return n
}

// TestTooManyListeners has more listeners than a message has room for: the
// reload fails and says so, and the generation that was goes on.
func TestTooManyListeners(t *testing.T) {
	t.Run("of the predecessor", func(t *testing.T) {
		d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=crowded")
		d.write("listeners", "640")
		d.reload()
		for _, args := range [][]string{{"reload", "-dry-run"}, {"reload"}} {
			out, err := d.command(args...)
			if err == nil || !strings.Contains(out, "too large for a handover message") || !strings.Contains(out, "bound listeners takes") {
				t.Errorf("%v: %v, %q", args, err, out)
			}
		}
		if s := d.status(); s.Generation != 2 || s.State != lifecycle.Ready {
			t.Errorf("status %+v", s)
		}
	})
	t.Run("of the successor", func(t *testing.T) {
		d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=crowded")
		d.write("served", "900")
		out, err := d.command("reload")
		if err == nil || !strings.Contains(out, "too large for a handover message") || !strings.Contains(out, "listeners of HTTP takes") {
			t.Errorf("reload: %v, %q", err, out)
		}
		if s := d.status(); s.Generation != 1 || s.State != lifecycle.Ready {
			t.Errorf("status %+v", s)
		}
	})
}

// TestManyJobs has a predecessor drain with more jobs than a message has room
// to name: it stays known, and tells of them.
func TestManyJobs(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=crowded")
	d.write("workers", "1200")
	d.reload()
	d.write("workers", "0")
	nc := dialKept(t, "tcp", d.address)
	if _, err := io.WriteString(nc, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nha"); err != nil {
		t.Fatal(err)
	}
	d.eventually("the request to begin", func() bool { return d.status().Requests == 1 })
	d.reload()
	for range 2 { // an answer to each question
		var jobs []string
		d.eventually("one predecessor to tell of its request", func() bool {
			p := d.status().Predecessors
			if len(p) != 1 || p[0].Error != "" || p[0].Requests != 1 {
				return false
			}
			jobs = p[0].Jobs
			return true
		})
		if n := len(jobs); n < 50 || !strings.HasSuffix(jobs[n-1], " more") {
			t.Errorf("%d jobs: %.500q", n, jobs)
		}
	}
	if _, err := io.WriteString(nc, "lf"); err != nil {
		t.Fatal(err)
	}
	answer, err := nc.reader.ReadString(')')
	if err != nil || !strings.Contains(answer, "200 OK") {
		t.Errorf("%q, %v", answer, err)
	}
	d.eventually("the predecessor to end", func() bool { return len(d.processes()) == 1 })
}

// TestPredecessorKeepsItsPlace is a predecessor that says, among what it has
// to, what nobody can read. It is asked and hands over as any other.
func TestPredecessorKeepsItsPlace(t *testing.T) {
	dir := t.TempDir()
	address := freeport.Address(t, "tcp")
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, server := acceptOn(t, l, address)
	bound := fmt.Sprintf(`{"name":"http","network":"tcp","address":%q}`, address)
	p := startPredecessor(t, dir, "tcp!"+address, bound, l)
	nonsense := func() {
		p.send(`{"type":"draining","report":7}`)
		p.send(`{"type":"draining","report":{"requests":"many"}}`)
		p.send(`{"type":"draining","report":{"since":"2026-01-02T03:04:05Z","connections":{},"requests":1,"jobs":["` + strings.Repeat("j", 120_000) + `"]}}`)
		p.send(`{"type":"news","count":"many"}`)
		p.send(`{"type":"tidings","left":{}}`, 0)
	}
	p.await(handover.Ready)
	nonsense()
	p.send(`{"type":"go"}`)
	p.await(handover.Serving)
	nonsense()
	p.send(`{"type":"main","outcome":"well"}`)
	nonsense()
	p.send(fmt.Sprintf(`{"type":"connections","listener":"http","address":%q}`, address), server)
	if m := p.await(handover.Accepted); m.Count != 1 {
		t.Errorf("%d connections were taken, want 1", m.Count)
	}
	if generation, err := client.exchange(); err != nil || generation != 2 {
		t.Errorf("generation %d answers, %v", generation, err)
	}
}

// acceptOn makes a connection, and returns the client's end and the descriptor
// of the other.
func acceptOn(t *testing.T, l net.Listener, address string) (client *kept, server int) {
	t.Helper()
	client = dialKept(t, "tcp", address)
	_ = l.(*net.TCPListener).SetDeadline(patience.Deadline(time.Minute))
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if controlErr := raw.Control(func(fd uintptr) { server, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3) }); controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
	t.Cleanup(func() { _ = unix.Close(server) })
	return client, server
}
