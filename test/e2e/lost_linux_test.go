package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// answersLost has the service answer requests that a crash has lost.
var answersLost = setting("Service", "Environment", "HEIRLOOM_TEST_ANSWER_LOST=true")

// lost reads the response that each connection gets to a request that a crash
// has lost, sends more, and reads the end.
func (c *callers) lost(more string) {
	c.t.Helper()
	c.each(func(i int) error {
		_ = c.conns[i].SetDeadline(patience.Deadline(callerLimit))
		if _, err := io.WriteString(c.conns[i], more); err != nil {
			return err
		}
		r := bufio.NewReader(c.conns[i])
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusInternalServerError || !response.Close || response.ContentLength != 0 {
			return fmt.Errorf("status %s, close %t, %d bytes", response.Status, response.Close, response.ContentLength)
		}
		if _, err := io.WriteString(c.conns[i], more); err != nil {
			return err
		}
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			return fmt.Errorf("after the response: %q, %w", rest, err)
		}
		return nil
	})
}

// cutOff reads a response that ends in the middle, with nothing behind it.
func (c *callers) cutOff() {
	c.t.Helper()
	c.each(func(i int) error {
		_ = c.conns[i].SetDeadline(patience.Deadline(callerLimit))
		text, err := io.ReadAll(c.conns[i])
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			return err
		}
		if head, body, _ := strings.Cut(string(text), "\r\n\r\n"); body != "half" || strings.Count(head, "HTTP/1.1") != 1 {
			return fmt.Errorf("read %q", text)
		}
		return nil
	})
}

// begin sends requests on connections that are kept. It waits until the process
// has read them.
func (h *managed) begin(pid int, requests map[*callers]string) {
	h.t.Helper()
	h.atRest(pid)
	for c, text := range requests {
		c.write(text)
	}
	for c := range requests {
		h.taken(c)
	}
	h.atRest(pid)
}

// TestLostRequests kills the process with requests in flight. With the option
// those whose response had not begun are answered by the next one. Otherwise all
// are closed.
func TestLostRequests(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			testLostRequests(t, crashing(t, v, answersLost), true)
		})
	}
	t.Run("off", func(t *testing.T) {
		t.Parallel()
		testLostRequests(t, crashing(t, sdtest.V262), false)
	})
}

func testLostRequests(t *testing.T, h *managed, answers bool) {
	idle, waiting := call(t, h.target(), 20), connect(t, h.target(), 5)
	const kills = 3
	for generation := 1; generation <= kills; generation++ {
		began := time.Now()
		pid := h.awaitGeneration(generation)
		whole, first, part, body, half := call(t, h.target(), 5), connect(t, h.target(), 5), call(t, h.target(), 5),
			call(t, h.target(), 5), call(t, h.target(), 5)
		h.keeps(50)
		poll(t, "the process to be no newborn", func() bool { return time.Since(began) > 1200*time.Millisecond })
		h.begin(pid, map[*callers]string{
			whole: "GET /never HTTP/1.1\r\nHost: hello\r\n\r\n",
			first: "POST /never HTTP/1.1\r\nHost: hello\r\nContent-Length: 4\r\n\r\nbody",
			part:  "GET / HTTP/1.1\r\nHo",
			body:  "POST /read HTTP/1.1\r\nHost: hello\r\nContent-Length: 10000000\r\n\r\nbegin",
			half:  "GET /half HTTP/1.1\r\nHost: hello\r\n\r\n",
		})
		h.kill(pid, syscall.SIGKILL)
		if answers {
			whole.lost("")
			first.lost("")
			part.lost("st: hello\r\n\r\n")
			body.lost(strings.Repeat("more", 1<<18))
		} else {
			whole.closed()
			first.closed()
			part.closed()
			body.closed()
		}
		half.cutOff()
		idle.expect(generation + 1)
		want := 0
		if answers {
			want = 20
		}
		if s := h.tookOver(); s.Ledger.Adopted != 25 || s.Ledger.Cut != 25 || s.Ledger.Answered != want {
			t.Errorf("%v, want 25 that go on, and 25 cut, of which %d are answered", s.Ledger, want)
		}
		for _, c := range []*callers{whole, first, part, body, half} {
			c.hangUp()
		}
	}
	waiting.expect(kills + 1)
	h.stop()
	idle.closed()
}

// TestLostPoison has requests kill the process. Each is answered, and comes no
// second time.
func TestLostPoison(t *testing.T) {
	t.Parallel()
	h := crashing(t, sdtest.V262, answersLost)
	idle := call(t, h.target(), 10)
	for i, poison := range []string{"kill", "panic", "exit", "fault"} {
		began := time.Now()
		poisoner := call(t, h.target(), 1)
		pid := h.keeps(11).PID
		poll(t, "the process to be no newborn", func() bool { return time.Since(began) > 1200*time.Millisecond })
		h.atRest(pid)
		poisoner.write("GET /poison/" + poison + " HTTP/1.1\r\nHost: hello\r\n\r\n")
		poisoner.lost("")
		idle.expect(i + 2)
		if s := h.tookOver(); s.Ledger.Adopted != 10 || s.Ledger.Cut != 1 || s.Ledger.Answered != 1 {
			t.Errorf("%s: %v", poison, s.Ledger)
		}
	}
}

// TestLostWhileDraining reloads while a client that got such an answer does not
// close its connection: the drain does not wait for it for long.
func TestLostWhileDraining(t *testing.T) {
	t.Parallel()
	h := crashing(t, sdtest.V262, answersLost)
	pid := h.awaitGeneration(1)
	idle, whole := call(t, h.target(), 1), call(t, h.target(), 1)
	h.keeps(2)
	h.begin(pid, map[*callers]string{whole: "GET /never HTTP/1.1\r\nHost: hello\r\n\r\n"})
	h.kill(pid, syscall.SIGKILL)
	whole.lost("")
	h.tookOver()
	h.machine.WaitActive("hello.service") // systemd reloads no service that is not ready to it
	mustReload(t, h)
	settled(t, h)
	idle.expect(3)
}

// TestBuildsCrash has an older build, which knows nothing of such answers, and
// today's go on with each other's ledger. A request is answered where today's
// knows that nothing was written since it last had the connection at rest.
func TestBuildsCrash(t *testing.T) {
	t.Parallel()
	older := buildOf(t, "crasher", frozen)
	h := crashing(t, sdtest.V262, answersLost)
	const under = "GET /sleep?d=1h HTTP/1.1\r\nHost: hello\r\n\r\n"
	kill := func(kept int, next string, requests ...*callers) {
		began := time.Now()
		pid := h.keeps(kept).PID
		poll(t, "the process to be no newborn", func() bool { return time.Since(began) > 1200*time.Millisecond })
		h.install(next)
		all := make(map[*callers]string)
		for _, c := range requests {
			all[c] = under
		}
		h.begin(pid, all)
		h.kill(pid, syscall.SIGKILL)
	}
	idle, asked, unasked, flying := call(t, h.target(), 5), call(t, h.target(), 5), call(t, h.target(), 5), call(t, h.target(), 5)
	kill(20, older, flying)
	flying.closed()
	idle.expect(2)
	asked.expect(2)
	flying = call(t, h.target(), 5)
	kill(20, program("crasher"), asked, unasked, flying)
	asked.closed()
	unasked.lost("")
	flying.closed()
	idle.expect(3)
	flying = call(t, h.target(), 5)
	kill(10, program("crasher"), idle, flying)
	idle.lost("")
	flying.lost("")
}
