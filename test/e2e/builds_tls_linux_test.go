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
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// future is a build of this tree that writes the sessions of TLS in another
// format than it does, as a later release may.
const future = "future"

// secureBuilds makes those of testdata/secure, once.
var secureBuilds = sync.OnceValue(buildSecure)

// secureOf returns the path of a build of testdata/secure. It skips the test
// without the history to make the older one of.
func secureOf(t *testing.T, build string) string {
	t.Helper()
	switch err := secureBuilds(); {
	case errors.Is(err, errNoHistory):
		missing(t, err)
	case err != nil:
		t.Fatal(err)
	}
	return program("secure-" + build)
}

func buildSecure() error {
	const path = "./test/e2e/testdata/secure"
	tree := filepath.Join(programs, "frozen-secure")
	if err := checkOut(frozenCommit, tree); err != nil {
		return err
	}
	defer os.RemoveAll(tree)
	if err := os.CopyFS(filepath.Join(tree, path), os.DirFS(filepath.Join("testdata", "secure"))); err != nil {
		return err
	}
	if err := buildTree(tree, frozen, path); err != nil {
		return err
	}
	root := filepath.Join("..", "..")
	if err := buildTree(root, today, path); err != nil {
		return err
	}
	overlay, err := writeFormat(root)
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-buildvcs=false", "-overlay", overlay, "-ldflags", "-X main.version="+future, "-o", program("secure-"+future), path)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build a later format: %w\n%s", err, out)
	}
	return nil
}

// writeFormat returns the path of an overlay that replaces the format.
func writeFormat(root string) (string, error) {
	path, err := filepath.Abs(filepath.Join(root, "internal", "tlsmove", "session.go"))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	changed := strings.Replace(string(text), "const Format = 1\n", "const Format = 2\n", 1)
	if changed == string(text) {
		return "", fmt.Errorf("%s does not have the format", path)
	}
	replacement, overlay := program("session.go"), program("overlay.json")
	if err := os.WriteFile(replacement, []byte(changed), 0o644); err != nil {
		return "", err
	}
	paths, err := json.Marshal(map[string]map[string]string{"Replace": {path: replacement}})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, paths, 0o644)
}

// startSecure starts a build of testdata/secure.
func startSecure(t *testing.T, build string) *managed {
	t.Helper()
	h := newManaged(t, sdtest.V262, often, withoutSocket)
	h.machine.Install(secureOf(t, today), control)
	h.install(secureOf(t, build))
	h.start()
	return h
}

// TestBuildsTLS has a build that moves no sessions of TLS, today's, and one with
// another format replace each other under load. Sessions move where both sides
// can, and elsewhere their clients are told to close; nothing breaks.
func TestBuildsTLS(t *testing.T) {
	t.Parallel()
	h := startSecure(t, frozen)
	target := brisk(h)
	target.Dial = loadtest.OverTLS(h.machine.Dial)
	run := loadtest.Start(target, map[loadtest.Class]int{loadtest.KeepAlive: 15, loadtest.Slow: 3, loadtest.Upload: 3})
	waitGeneration(t, run, 1)
	before := frozen
	for i, build := range []string{today, frozen, today, today, future, future, today, future, frozen, future, today} {
		h.install(secureOf(t, build))
		mustReload(t, h)
		checkBuild(t, h, build, i+2)
		waitGeneration(t, run, i+2)
		if before == build && build != frozen {
			h.wait("sessions to move", func() bool { return h.status().TLS.Arrived > 0 })
		}
		if s := h.status().TLS; s != nil && (len(s.Stayed) > 0 || s.Lost > 0 || before != build && s.Arrived > 0) {
			t.Errorf("%s, after %s: %+v", build, before, s)
		}
		before = build
	}
	for i, build := range []string{today, today} { // by a restart
		h.install(secureOf(t, build))
		mustRestart(t, h)
		checkBuild(t, h, build, i+13)
		waitGeneration(t, run, i+13)
	}
	loadtest.Verify(t, run.Stop())
	h.stop()
}

// TestBuildsTLSQueue restarts into builds that do not understand the sessions
// that wait for them: these are closed, with a reason, and the others served.
func TestBuildsTLSQueue(t *testing.T) {
	t.Parallel()
	for _, chain := range [][2]string{{today, frozen}, {today, future}, {future, today}} {
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
			h.install(secureOf(t, chain[1]))
			mustRestart(t, h)
			checkBuild(t, h, chain[1], 2)
			for _, c := range clients {
				if b, err := c.reader.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("read %q, %v; want the end of the connection", b, err)
				}
			}
			if chain[1] != frozen {
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
