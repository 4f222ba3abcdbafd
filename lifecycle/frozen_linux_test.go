package lifecycle_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// idleClients opens connections that have had an answer.
func (d *local) idleClients(count int) []*client {
	d.t.Helper()
	clients := make([]*client, count)
	for i := range clients {
		clients[i] = d.dial()
		clients[i].ask("/")
	}
	for _, c := range clients {
		c.answer(1)
	}
	return clients
}

// sockets returns the inodes of the sockets that a process has open.
func sockets(pid int) map[string]bool {
	found := map[string]bool{}
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if to, err := os.Readlink(dir + e.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			found[to] = true
		}
	}
	return found
}

// awaitFrozen waits until a process has stopped itself, as the file named freeze
// tells it to, and returns which. The file goes a moment before that.
func (d *local) awaitFrozen() (pid int) {
	d.t.Helper()
	d.eventually("a process to be stopped", func() bool {
		pids := slices.DeleteFunc(d.processes(), func(pid int) bool { return !isStopped(pid) })
		if len(pids) > 0 {
			pid = pids[0]
		}
		return len(pids) > 0
	})
	return pid
}

func isStopped(pid int) bool {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return strings.Contains(string(stat), ") T ")
}

// TestFrozenSuccessor stops the successor when it has become the main process.
// Connections are on their way to it when the time of the predecessor's drain
// is over: they are the successor's, which answers when it goes on. None of
// them may be served by the predecessor for a last moment, which would lose the
// request.
func TestFrozenSuccessor(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_DRAIN="+span(6*time.Second))
	clients := d.idleClients(600) // more than may be unacknowledged before
	d.write("freeze", "2 main")
	reloaded := make(chan struct{})
	go func() {
		defer close(reloaded)
		_, _ = d.command("reload")
	}()
	successor := d.awaitFrozen()
	t.Cleanup(func() { _ = syscall.Kill(successor, syscall.SIGCONT) })
	for _, c := range clients {
		c.ask("/")
	}
	_ = d.awaitExit()
	if err := syscall.Kill(successor, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	broken := 0
	for _, c := range clients {
		_ = c.SetReadDeadline(patience.Deadline(time.Minute))
		response, err := http.ReadResponse(c.reader, nil)
		if err != nil {
			broken++
			continue
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || !strings.HasPrefix(string(body), "hello from generation ") {
			t.Errorf("answer %q, %v", body, err)
		}
	}
	if broken > 0 {
		t.Errorf("%d of %d connections were broken", broken, len(clients))
	}
	<-reloaded
}
