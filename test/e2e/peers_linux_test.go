package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestPeers reloads hello under clients that nobody here wrote. None of them
// repeats a request that broke; each says in its own way whether one did. Where
// ten reloads take longer than a client asks, it asks again for longer.
func TestPeers(t *testing.T) {
	for _, p := range peers() {
		t.Run(p.name, func(t *testing.T) {
			if _, err := exec.LookPath(p.name); err != nil {
				missing(t, err)
			}
			h := newTerminal(t)
			h.install(program("v1"))
			h.start()
			for seconds := 3; ; seconds *= 3 {
				reloads := p.reload(t, h, seconds)
				if reloads >= 10 || t.Failed() {
					break
				}
				if seconds > 200 {
					t.Errorf("%d reloads in %d s, want 10 at least", reloads, seconds)
					break
				}
			}
			settled(t, h)
		})
	}
}

// A peer is a client, and what it says.
type peer struct {
	name    string
	command func(address string, seconds int) []string
	wrong   *regexp.Regexp
	right   *regexp.Regexp
}

func peers() []peer {
	return []peer{
		{
			name: "wrk",
			command: func(address string, seconds int) []string {
				timeout := int(patience.Of(30*time.Second) / time.Second) // else it takes what lasts for two seconds for an error
				return []string{"wrk", "-t2", "-c50", fmt.Sprintf("-d%ds", seconds), fmt.Sprintf("--timeout=%ds", timeout), "http://" + address + "/"}
			},
			wrong: regexp.MustCompile(`(?m)^.*(Socket errors|Non-2xx).*$`),
			right: regexp.MustCompile(`(?m)\d+ requests in `),
		},
		{
			name: "h2load",
			command: func(address string, seconds int) []string {
				return []string{"h2load", "--h1", "-c20", "-t1", fmt.Sprintf("--duration=%d", seconds), "http://" + address + "/"}
			},
			wrong: regexp.MustCompile(`(?m)^requests:.* ([1-9]\d*) (failed|errored|timeout).*$`),
			right: regexp.MustCompile(`(?m)^requests:.* 0 failed, 0 errored, 0 timeout$`),
		},
		{
			name: "curl",
			command: func(address string, seconds int) []string {
				return []string{"curl", "-sS", "--fail-with-body", "--rate", fmt.Sprintf("%d/m", 400*60/seconds), "-o", "/dev/null",
					"-w", "%{num_connects}\n", "http://" + address + "/?n=[1-400]"}
			},
			wrong: regexp.MustCompile(`(?m)^(curl: .*|2|3|4|5)$`),
			right: regexp.MustCompile(`(?s)^1\n(0\n){399}$`), // all over the one connection
		},
	}
}

// reload reloads hello as long as the client asks, checks what that says, and
// returns how many reloads there were.
func (p peer) reload(t *testing.T, h host, seconds int) (reloads int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second+patience.Of(30*time.Second))
	defer cancel()
	argv := p.command(h.target().Address, seconds)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for ended := false; !ended; {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			ended = true
		default:
			if err := h.reload(); err != nil {
				t.Fatal(err)
			}
			reloads++
		}
	}
	if broken := p.wrong.FindString(out.String()); broken != "" || !p.right.Match(out.Bytes()) {
		t.Errorf("after %d reloads: %q in\n%s", reloads, broken, out.String())
	}
	return reloads
}
