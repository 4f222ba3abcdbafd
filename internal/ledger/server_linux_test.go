package ledger_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/ledger"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A server of the tests speaks lines: it answers each with how many it has
// answered on that connection and in which process. Its descriptors are those
// of the ledger, and a listener:
//
//	3 listener, 4 page, 5 and 6 queue
//
// The line "half" is half answered, and "silent" not at all: they are requests
// that are under way. "close" has the server close the connection. A server that
// answers is one for the requests of which an earlier one has written nothing.
const (
	listenerFD = 3
	pageFD     = 4
	readFD     = 5
	writeFD    = 6
)

// serve is the program that is killed.
func serve() error {
	generation := os.Getenv("HEIRLOOM_TEST_GENERATION")
	listener, err := net.FileListener(os.NewFile(listenerFD, "listener"))
	if err != nil {
		return err
	}
	for _, fd := range []int{pageFD, readFD, writeFD} {
		unix.CloseOnExec(fd)
	}
	l, err := ledger.Open(ledger.Files{Page: pageFD, Read: readFD, Write: writeFD})
	if err != nil {
		return err
	}
	if os.Getenv("HEIRLOOM_TEST_YOUNG") != "" {
		l.StayYoung()
	}
	taker := ledger.Taker{Take: func(f *ledger.Found) bool {
		m := newMark()
		f.Keep(m)
		go answer(l, f.Conn.(*net.TCPConn), m, generation, false)
		return true
	}}
	if answers() {
		taker.Answer = func(f *ledger.Found) bool {
			go answerLost(f.Conn.(*net.TCPConn), generation)
			return true
		}
	}
	adopted, err := l.Adopt(taker)
	if err != nil {
		return err
	}
	fmt.Printf("adopted %d, cut %d, lost %d, dropped %v, answered %d\n",
		adopted.Connections, adopted.Cut, adopted.Lost, adopted.Dropped, adopted.Answered)
	for {
		nc, err := listener.Accept()
		if err != nil {
			return err
		}
		go answer(l, nc.(*net.TCPConn), newMark(), generation, true)
	}
}

func answers() bool { return os.Getenv("HEIRLOOM_TEST_ANSWERS") != "" }

func newMark() *ledger.Mark {
	m := new(ledger.Mark)
	if answers() {
		m.CountWritten()
	}
	return m
}

// answerLost answers a request that an earlier process has lost.
func answerLost(nc *net.TCPConn, generation string) {
	fmt.Fprintln(nc, generation, "lost")
	_ = nc.CloseWrite()
	_, _ = io.Copy(io.Discard, nc)
	_ = nc.CloseRead()
	_ = nc.Close()
}

// answer serves one connection.
func answer(l *ledger.Ledger, nc *net.TCPConn, m *ledger.Mark, generation string, enter bool) {
	defer func() {
		if m.Close() {
			_ = nc.CloseRead()
			_ = nc.CloseWrite()
		}
		_ = nc.Close()
	}()
	say := func(line ...any) {
		n, _ := fmt.Fprintln(nc, line...)
		if answers() {
			m.Wrote(n)
		}
	}
	p := make([]byte, 100)
	for n := 1; ; n++ {
		m.Rest()
		if enter {
			enter = false
			if err := l.Enter("lines", nc.LocalAddr().String(), []ledger.Candidate{{Mark: m, Conn: nc}}); err != nil {
				fmt.Println("not kept:", err)
			}
			say("hello")
			m.Rest()
		}
		size, err := nc.Read(p)
		m.Took(size)
		switch {
		case err != nil || string(p[:size]) == "close\n":
			return
		case string(p[:size]) == "silent\n":
			fmt.Println("silent")
			select {}
		case string(p[:size]) == "half\n":
			fmt.Fprint(nc, "ha")
			select {}
		}
		say(generation, n)
	}
}

// A chain is generations of the server, of which each is killed.
type chain struct {
	t          *testing.T
	listener   *os.File
	address    string
	files      []*os.File
	generation int
	answers    bool // the servers that are started do
	young      bool // they are young when they are killed, whenever that is
	process    *exec.Cmd
	output     *bufio.Reader
}

// newChain makes the ledger, as systemd holds it.
func newChain(t *testing.T, network, address string) *chain {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.New()
	if err != nil {
		t.Fatal(err)
	}
	c := &chain{t: t, listener: file, address: listener.Addr().String(), files: stored(t, l)}
	l.End()
	t.Cleanup(c.end)
	return c
}

// stored returns duplicates of the descriptors of l.
func stored(t testing.TB, l *ledger.Ledger) []*os.File {
	t.Helper()
	var files []*os.File
	f := l.Files()
	for _, fd := range []int{f.Page, f.Read, f.Write} {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, os.NewFile(uintptr(dup), "stored"))
	}
	return files
}

// start starts the next generation, and returns what it says of those that it
// has adopted.
func (c *chain) start() string {
	c.t.Helper()
	c.launch()
	return c.line()
}

func (c *chain) launch() {
	c.t.Helper()
	c.generation++
	c.process = exec.Command(os.Args[0])
	c.process.Env = append(os.Environ(), "HEIRLOOM_TEST_ROLE=server", fmt.Sprintf("HEIRLOOM_TEST_GENERATION=%d", c.generation))
	if c.answers {
		c.process.Env = append(c.process.Env, "HEIRLOOM_TEST_ANSWERS=true")
	}
	if c.young {
		c.process.Env = append(c.process.Env, "HEIRLOOM_TEST_YOUNG=true")
	}
	c.process.ExtraFiles = append([]*os.File{c.listener}, c.files...)
	c.process.Stderr = os.Stderr
	out, err := c.process.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	c.output = bufio.NewReader(out)
	if err := c.process.Start(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chain) line() string {
	c.t.Helper()
	line, err := c.output.ReadString('\n')
	if err != nil {
		c.t.Fatalf("generation %d: %v", c.generation, err)
	}
	return strings.TrimSpace(line)
}

func (c *chain) kill() {
	if c.process != nil {
		_ = c.process.Process.Signal(syscall.SIGKILL)
		_ = c.process.Wait()
		c.process = nil
	}
}

func (c *chain) end() {
	c.kill()
	_ = c.listener.Close()
	c.forget()
}

// forget is what systemd does when the service is stopped.
func (c *chain) forget() {
	for _, f := range c.files {
		_ = f.Close()
	}
	c.files = nil
}

// settle waits until the page says of the clients, which are all that there
// are, that they are at rest since their last answer.
func (c *chain) settle(clients ...*client) {
	c.t.Helper()
	want := uint64(0)
	for _, cl := range clients {
		want += uint64(cl.rested)
	}
	if !patience.Until(time.Minute, func() bool {
		got := uint64(0)
		raw, err := c.files[0].SyscallConn()
		if err != nil {
			c.t.Fatal(err)
		}
		_ = raw.Control(func(fd uintptr) {
			var counts []uint64
			counts, err = ledger.Counts(int(fd))
			for _, n := range counts {
				got += n
			}
		})
		if err != nil {
			c.t.Fatal(err)
		}
		return got == want
	}) {
		c.t.Fatal("the clients do not come to rest")
	}
}

// A client of the server.
type client struct {
	net.Conn
	t      *testing.T
	r      *bufio.Reader
	sent   int
	rested int // bytes that were sent until it came to rest last
}

// dial connects, and returns when the connection is kept.
func (c *chain) dial() *client {
	c.t.Helper()
	nc, err := net.Dial("tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience.Of(time.Minute)))
	cl := &client{Conn: nc, t: c.t, r: bufio.NewReader(nc)}
	cl.expect("hello")
	return cl
}

func (c *client) send(line string) {
	c.t.Helper()
	n, err := io.WriteString(c, line+"\n")
	if err != nil {
		c.t.Fatal(err)
	}
	c.sent += n
}

func (c *client) expect(want string) {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if line = strings.TrimSpace(line); err != nil || line != want {
		c.t.Fatalf("answer %q, %v, want %q", line, err, want)
	}
	c.rested = c.sent
}

func (c *client) ask(want string) {
	c.t.Helper()
	c.send("?")
	c.expect(want)
}

// lost expects that a generation has answered in place of the one before, and
// then the end, whatever the client still sends.
func (c *client) lost(generation int) {
	c.t.Helper()
	c.send("more")
	c.expect(fmt.Sprint(generation, " lost"))
	c.send("and more")
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		c.t.Fatalf("not closed: %q, %v", rest, err)
	}
}

// ended expects that the server has closed the connection.
func (c *client) ended() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); err != nil && !strings.Contains(err.Error(), "reset") {
		c.t.Fatalf("not ended: %q, %v", rest, err)
	}
}
