package fleet_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// host is a machine that can be reached by ssh, and runs hello under load.
type host struct {
	*sdtest.Machine
	t    *testing.T
	name string
	load *loadtest.Run
	wrk  *sdtest.Command

	mu   sync.Mutex
	seen map[int]*span // by generation
}

// span is the time from the first answer to the last.
type span struct{ first, last time.Time }

// serveSSH starts the host's sshd, for one client.
func (h *host) serveSSH(hostKey, client string) {
	h.t.Helper()
	h.Unpack("libwrap0")
	h.Unpack("openssh-server")
	h.WriteFile("/etc/ssh/key", hostKey, 0o600)
	h.WriteFile("/etc/ssh/authorized_keys", client, 0o644)
	h.WriteFile("/etc/ssh/sshd_config", `HostKey /etc/ssh/key
AuthorizedKeysFile /etc/ssh/authorized_keys
PasswordAuthentication no
Subsystem sftp internal-sftp
`, 0o644)
	h.WriteFile("/usr/lib/sysusers.d/sshd.conf", "u sshd - - /run/sshd\n", 0o644)
	h.MustRun("systemd-sysusers")
	h.MustRun("systemctl", "daemon-reload")
	h.MustRun("systemctl", "start", "ssh.service")
}

// install installs hello as on the first day.
func (h *host) install(path string) {
	h.t.Helper()
	inside := "/root/" + filepath.Base(path)
	h.Install(path, inside)
	// What the host of this test can get from its mirrors has no part in it,
	// and takes time to read.
	h.MustRun("find", "/var/lib/apt/lists", "-type", "f", "-delete")
	h.MustRun("dpkg", "--force-unsafe-io", "-i", inside)
}

// pace makes wrk ask about five times a second with each connection, rather
// than take the processor from everybody.
const pace = "function delay() return 200 end\n"

// begin puts the host under load, until end.
func (h *host) begin() {
	h.t.Helper()
	h.seen = map[int]*span{}
	crowd := loadtest.OfEach(1)
	crowd[loadtest.KeepAlive] = 5
	h.load = loadtest.Start(loadtest.Target{
		Address: "127.0.0.1:8080", Dial: h.Dial, IdleFor: 100 * time.Millisecond, SlowFor: 100 * time.Millisecond,
		ThinkTime: 250 * time.Millisecond, Observe: h.observe,
	}, crowd)
	h.WriteFile("/root/pace.lua", pace, 0o644)
	timeout := min(patience.Of(10*time.Second), time.Minute) // a longer one takes a lot of memory
	h.wrk = h.Start("wrk", "-t1", "-c4", "-d10h", "--timeout", fmt.Sprintf("%.0fs", timeout.Seconds()), "-s", "/root/pace.lua", "http://127.0.0.1:8080/")
	h.served(1)
}

// end ends the load, and fails the test if one request was broken.
func (h *host) end() {
	h.t.Helper()
	loadtest.Verify(h.t, h.load.Stop())
	if err := h.wrk.Signal(os.Interrupt); err != nil {
		h.t.Error(err)
	}
	out, err := h.wrk.Wait()
	if err != nil || !regexp.MustCompile(`[1-9]\d* requests in`).MatchString(out) || strings.Contains(out, "Socket errors") ||
		strings.Contains(out, "Non-2xx") {
		h.t.Errorf("wrk: %v\n%s", err, out)
	}
}

// hold begins a request of that generation, which keeps it from finishing until
// the function returned is called.
func (h *host) hold(generation int) (release func()) {
	h.t.Helper()
	conn, err := h.Dial(h.t.Context(), "tcp", "127.0.0.1:8080")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	const head = "POST / HTTP/1.1\r\nHost: hello\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		h.t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
		h.t.Fatalf("%q (%v)", line, err)
	}
	return func() {
		h.t.Helper()
		_, err := io.WriteString(conn, "body")
		rest, readErr := io.ReadAll(answers)
		if err := errors.Join(err, readErr); err != nil || !strings.Contains(string(rest), " read 4 bytes") {
			h.t.Errorf("the request that was held was answered by %q (%v)", rest, err)
		}
		h.observe(loadtest.Observation{At: time.Now(), Generation: generation})
	}
}

// stopSSH has the host be reached no more, also by connections that are there.
func (h *host) stopSSH() {
	h.t.Helper()
	h.MustRun("systemctl", "stop", "ssh.service")
	for _, p := range h.Processes("ssh.service") {
		h.Kill(p.PID, syscall.SIGKILL)
	}
	h.Wait("the end of sshd", func() bool { return len(h.Processes("ssh.service")) == 0 })
}

func (h *host) observe(o loadtest.Observation) {
	if o.Broken > 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.seen[o.Generation]
	if s == nil {
		s = &span{first: o.At}
		h.seen[o.Generation] = s
	}
	s.last = o.At
}

// served waits for an answer of the generation.
func (h *host) served(generation int) {
	h.t.Helper()
	ctx, cancel := patience.Context(h.t.Context(), 30*time.Second)
	defer cancel()
	if err := h.load.WaitGeneration(ctx, generation); err != nil {
		h.t.Error(err)
	}
}

// transition returns the time from the first answer of the generation to the
// last of the one before.
func (h *host) transition(generation int) span {
	h.t.Helper()
	h.served(generation)
	h.mu.Lock()
	defer h.mu.Unlock()
	now, before := h.seen[generation], h.seen[generation-1]
	if now == nil || before == nil {
		h.t.Fatalf("%s: generations %d and %d did not both serve", h.name, generation-1, generation)
	}
	return span{first: now.first, last: before.last}
}

// status asks hello itself.
func (h *host) status() (s lifecycle.Status) {
	h.t.Helper()
	if err := json.Unmarshal([]byte(h.MustRun("hello", "status", "-json")), &s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// expect checks what runs on the hosts, and that it is what is installed: one
// generation on the first, and another on the rest.
func (f *fleet) expect(version string, first, rest int) {
	f.t.Helper()
	generation := first
	for _, h := range f.hosts {
		s := h.status()
		if s.Version != version || s.Generation != generation || s.State != lifecycle.Ready {
			f.t.Errorf("%s: generation %d of %s is %s, want %d of %s", h.name, s.Generation, s.Version, s.State, generation, version)
		}
		if installed := h.MustRun("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", "hello"); installed != "installed "+version+"-1" {
			f.t.Errorf("%s: hello is %s", h.name, installed)
		}
		generation = rest
	}
}

// oneByOne fails the test unless each host had finished with the generation
// before when the next host began with its new one.
func (f *fleet) oneByOne(first, rest int) {
	f.t.Helper()
	var before time.Time
	generation := first
	for _, h := range f.hosts {
		turn := h.transition(generation)
		generation = rest
		if turn.first.Before(before) {
			f.t.Errorf("%s began %v before the host before it had finished", h.name, before.Sub(turn.first))
		}
		if turn.last.Before(turn.first) {
			turn.last = turn.first
		}
		before = turn.last
	}
}
