package tlsmove_test

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// answer is for clients that print what they get.
var answer = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintf(w, "answer to %s, %s\n", r.URL.Path, describe(r.TLS))
})

func (a *authority) file(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func find(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("there is no %s here", program)
	}
	return path
}

// An opensslClient is s_client, whose commands are lines that begin with their
// letter: K sends a KeyUpdate and asks for one, k just sends it, Q ends.
type opensslClient struct {
	in  io.WriteCloser
	out *bufio.Reader
	cmd *exec.Cmd
}

func startOpenSSL(t *testing.T, s *site, a *authority, args ...string) *opensslClient {
	t.Helper()
	args = append([]string{"s_client", "-connect", s.Addr().String(), "-servername", "localhost", "-tls1_3", "-CAfile", a.file(t), "-verify_return_error"}, args...)
	c := &opensslClient{cmd: exec.Command(find(t, "openssl"), args...)}
	c.in = must(c.cmd.StdinPipe())
	c.out = bufio.NewReader(must(c.cmd.StdoutPipe()))
	c.cmd.Stderr = c.cmd.Stdout
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := time.AfterFunc(patience.Of(limit), func() { _ = c.cmd.Process.Kill() })
	t.Cleanup(func() {
		_ = c.in.Close()
		_, _ = io.Copy(io.Discard, c.out)
		_ = c.cmd.Wait()
		over.Stop()
	})
	return c
}

// until reads up to a line with text in it, and returns that line.
func (c *opensslClient) until(t *testing.T, text string) string {
	t.Helper()
	all := ""
	for {
		line, err := c.out.ReadString('\n')
		all += line
		if err != nil {
			t.Fatalf("openssl never says %q: %v\n%s", text, err, all)
		}
		if strings.Contains(line, text) {
			return line
		}
	}
}

func (c *opensslClient) say(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c.in, text); err != nil {
		t.Fatal(err)
	}
}

// ask returns the line that the server answers with.
func (c *opensslClient) ask(t *testing.T, path string) string {
	t.Helper()
	c.say(t, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
	return c.until(t, "answer to "+path+",")
}

// TestOpenSSL moves connections of openssl between KeyUpdates of both kinds, of
// each suite, with a key exchange that takes a second hello, and resumed.
func TestOpenSSL(t *testing.T) {
	for _, suite := range []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"} {
		t.Run(suite, func(t *testing.T) {
			a := newAuthority(t)
			config := a.serverConfig()
			config.CurvePreferences = []tls.CurveID{tls.CurveP384}
			s := newSite(t, config, answer)
			ticket := filepath.Join(t.TempDir(), "ticket")
			args := []string{"-ciphersuites", suite, "-groups", "P-256:P-384"}
			for _, more := range [][]string{{"-sess_out", ticket}, {"-sess_in", ticket}} {
				s.moving.Store(false)
				c := startOpenSSL(t, s, a, append(args, more...)...)
				c.ask(t, "/before")
				c.say(t, "K\n")
				c.until(t, "KEYUPDATE")
				first := c.ask(t, "/first")
				s.moving.Store(true)
				c.say(t, "k\n")
				c.until(t, "KEYUPDATE")
				c.ask(t, "/second")
				for i := range 3 {
					c.ask(t, fmt.Sprintf("/third%d", i))
					s.awaitMove(t)
					c.say(t, "K\n")
					c.until(t, "KEYUPDATE")
				}
				last := c.ask(t, "/fourth")
				if want := strings.Replace(first, "/first", "/fourth", 1); last != want {
					t.Errorf("session %s, was %s", last, want)
				}
				if resumed := strings.Contains(last, "resumed=true"); resumed != (more[0] == "-sess_in") {
					t.Errorf("session %s", last)
				}
				c.say(t, "Q\n")
				_, _ = io.Copy(io.Discard, c.out)
			}
			if s.moved.Load() == 0 || s.accepted.Load() != 2 {
				t.Errorf("%d moves of %d connections; refused: %v", s.moved.Load(), s.accepted.Load(), s.reasons)
			}
		})
	}
}

// TestCurl moves the one connection of curl between its requests.
func TestCurl(t *testing.T) {
	a := newAuthority(t)
	s := newSite(t, a.serverConfig(), answer)
	s.moving.Store(true)
	_, port, _ := net.SplitHostPort(s.Addr().String())
	args := []string{"--silent", "--show-error", "--http1.1", "--max-time", fmt.Sprint(int(patience.Of(time.Minute).Seconds())), "--cacert", a.file(t), "--resolve", "localhost:" + port + ":127.0.0.1"}
	const requests = 20
	for i := range requests {
		args = append(args, fmt.Sprintf("https://localhost:%s/%d", port, i))
	}
	out, err := exec.Command(find(t, "curl"), args...).CombinedOutput()
	if err != nil || strings.Count(string(out), "answer to") != requests {
		t.Errorf("curl: %v\n%s", err, out)
	}
	if s.moved.Load() == 0 || s.accepted.Load() != 1 {
		t.Errorf("%d moves of %d connections; refused: %v", s.moved.Load(), s.accepted.Load(), s.reasons)
	}
}
