package e2e_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// formats says how the builds that move sessions of TLS write them.
var formats = map[string]int{frozen: 1, today: 1, future: 2}

// buildFuture has an overlay replace the format.
func buildFuture() error {
	path, err := filepath.Abs(filepath.Join(root, "internal", "tlsmove", "session.go"))
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	format := func(build string) string { return fmt.Sprintf("const Format = %d\n", formats[build]) }
	changed := strings.Replace(string(text), format(today), format(future), 1)
	if changed == string(text) {
		return fmt.Errorf("%s does not have the format", path)
	}
	replacement, overlay := program("session.go"), program("overlay.json")
	if err := os.WriteFile(replacement, []byte(changed), 0o644); err != nil {
		return err
	}
	paths, err := json.Marshal(map[string]map[string]string{"Replace": {path: replacement}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(overlay, paths, 0o644); err != nil {
		return err
	}
	return buildTree(root, future, []string{"-overlay", overlay}, secure)
}

// startSecure starts a build of testdata/secure. Those that may replace it are
// made before: no client waits for a compiler.
func startSecure(t *testing.T, build string) *managed {
	t.Helper()
	for _, b := range []string{frozen, today, staying, future} {
		buildOf(t, "secure", b)
	}
	h := newManaged(t, sdtest.V262, often, withoutSocket)
	h.machine.Install(buildOf(t, "secure", today), control)
	h.install(buildOf(t, "secure", build))
	h.start()
	return h
}

// TestBuildsTLS has an older build, today's, one whose sessions of TLS stay, and
// one with another format replace each other under load. Sessions move where
// both sides can, and elsewhere their clients are told to close; nothing breaks.
func TestBuildsTLS(t *testing.T) {
	t.Parallel()
	before := frozen
	h := startSecure(t, before)
	target := brisk(h)
	target.Dial = loadtest.OverTLS(h.machine.Dial)
	run := loadtest.Start(target, map[loadtest.Class]int{loadtest.KeepAlive: 15, loadtest.Slow: 3, loadtest.Upload: 3})
	waitGeneration(t, run, 1)
	for i, step := range []struct {
		build   string
		replace func(*testing.T, *managed)
	}{
		{today, reloadBuild}, {frozen, reloadBuild}, {staying, reloadBuild}, {today, reloadBuild}, {staying, reloadBuild}, {frozen, reloadBuild},
		{future, reloadBuild}, {future, reloadBuild}, {frozen, reloadBuild}, {today, restartBuild}, {today, reloadBuild}, {future, reloadBuild},
		{today, reloadBuild}, {frozen, restartBuild}, {today, restartBuild},
	} {
		move := formats[step.build] != 0 && formats[step.build] == formats[before]
		if !move {
			settled(t, h) // one that still drains may be of a build whose sessions move
		}
		h.install(buildOf(t, "secure", step.build))
		step.replace(t, h)
		checkBuild(t, h, step.build, i+2)
		waitGeneration(t, run, i+2)
		if move {
			h.wait("sessions to move", func() bool { return h.status().TLS.Arrived > 0 })
		}
		if s := h.status().TLS; s != nil && (len(s.Stayed) > 0 || s.Lost > 0 || !move && s.Arrived > 0) {
			t.Errorf("%s, after %s: %+v", step.build, before, s)
		}
		before = step.build
	}
	loadtest.Verify(t, run.Stop())
	h.stop()
}

// TestBuildsTLSQueue restarts into builds that do not understand the sessions
// that wait for them: these are closed, with a reason, and the others served.
func TestBuildsTLSQueue(t *testing.T) {
	t.Parallel()
	for _, chain := range [][2]string{{today, staying}, {today, future}, {future, today}, {future, frozen}} {
		t.Run(strings.Join(chain[:], "-"), func(t *testing.T) {
			t.Parallel()
			h := startSecure(t, chain[0])
			clients := make([]*secureClient, 5)
			for i := range clients {
				clients[i] = h.connectSecure()
				if err := clients[i].ask(1); err != nil {
					t.Fatal(err)
				}
			}
			h.install(buildOf(t, "secure", chain[1]))
			mustRestart(t, h)
			checkBuild(t, h, chain[1], 2)
			for _, c := range clients {
				if b, err := c.reader.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("read %q, %v; want the end of the connection", b, err)
				}
			}
			if chain[1] != staying {
				h.wait("the count", func() bool { return h.status().TLS.Stayed["format"] == uint64(len(clients)) })
			}
			if err := h.connectSecure().ask(2); err != nil {
				t.Error(err)
			}
			h.stop()
		})
	}
}

// A secureClient is one connection.
type secureClient struct {
	net.Conn
	reader *bufio.Reader
}

func (h *managed) connectSecure() *secureClient {
	h.t.Helper()
	nc, err := loadtest.OverTLS(h.machine.Dial)(h.t.Context(), "tcp", "127.0.0.1:8080")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(patience.Deadline(2 * time.Minute))
	return &secureClient{nc, bufio.NewReader(nc)}
}

// ask asks, and checks which generation answers.
func (c *secureClient) ask(generation int) error {
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: hello\r\n\r\n"); err != nil {
		return err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(body), fmt.Sprintf("hello from generation %d ", generation)) {
		return fmt.Errorf("answer %q, want one of generation %d", body, generation)
	}
	return nil
}
