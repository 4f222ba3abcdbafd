package e2e_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestPeers reloads hello under clients that nobody here wrote. None of them
// repeats a request that broke; each says in its own way whether one did.
func TestPeers(t *testing.T) {
	seconds := int(patience.Of(3*time.Second).Seconds() + 0.5) // a busy machine takes longer for ten reloads
	tests := []struct {
		name    string
		command func(address string) []string
		wrong   *regexp.Regexp
		right   *regexp.Regexp
	}{
		{
			name: "wrk",
			command: func(address string) []string {
				return []string{"wrk", "-t2", "-c50", fmt.Sprintf("-d%ds", seconds), "http://" + address + "/"}
			},
			wrong: regexp.MustCompile(`(?m)^.*(Socket errors|Non-2xx).*$`),
			right: regexp.MustCompile(`(?m)\d+ requests in `),
		},
		{
			name: "h2load",
			command: func(address string) []string {
				return []string{"h2load", "--h1", "-c20", "-t1", fmt.Sprintf("--duration=%d", seconds), "http://" + address + "/"}
			},
			wrong: regexp.MustCompile(`(?m)^requests:.* ([1-9]\d*) (failed|errored|timeout).*$`),
			right: regexp.MustCompile(`(?m)^requests:.* 0 failed, 0 errored, 0 timeout$`),
		},
		{
			name: "curl",
			command: func(address string) []string {
				return []string{"curl", "-sS", "--fail-with-body", "--rate", fmt.Sprintf("%d/m", 400*60/seconds), "-o", "/dev/null",
					"-w", "%{num_connects}\n", "http://" + address + "/?n=[1-400]"}
			},
			wrong: regexp.MustCompile(`(?m)^(curl: .*|2|3|4|5)$`),
			right: regexp.MustCompile(`(?s)^1\n(0\n){399}$`), // all over the one connection
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := exec.LookPath(test.name); err != nil {
				missing(t, err)
			}
			h := newTerminal(t)
			h.install(program("v1"))
			h.start()
			ctx, cancel := patience.Context(t.Context(), 30*time.Second)
			defer cancel()
			argv := test.command(h.target().Address)
			cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- cmd.Wait() }()
			reloads := 0
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
			if reloads < 10 {
				t.Errorf("%d reloads, want 10 at least", reloads)
			}
			if broken := test.wrong.FindString(out.String()); broken != "" || !test.right.Match(out.Bytes()) {
				t.Errorf("after %d reloads: %q in\n%s", reloads, broken, out.String())
			}
			settled(t, h)
		})
	}
}
