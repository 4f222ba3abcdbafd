package main

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
	limit "github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// rounds is how many reloads there are, and how many restarts.
const rounds = 3

// TestReplaced has a browser and WebSockets of another library vote, while the
// server is reloaded and restarted. None of them sees its connection end, or an
// update missing, and each vote is counted once.
func TestReplaced(t *testing.T) { replaced(t, "", exampletest.NoRaceExit) }

// TestReplacedTLS does so with TLS: each WebSocket has one session, to the end.
func TestReplacedTLS(t *testing.T) {
	replaced(t, "s", func(m *sdtest.Machine) {
		exampletest.NoRaceExit(m)
		writeCertificate(m)
		m.WriteFile("/etc/systemd/system/live.service.d/tls.conf", tlsConf, 0o644)
	})
}

// replaced is the test of "http" and "ws" with secure behind it.
func replaced(t *testing.T, secure string, prepare func(*sdtest.Machine)) {
	program := exampletest.Build(t, exampletest.Race()...)
	m := exampletest.Boot(t, sdtest.V262, program, prepare)
	page := openPage(t, m, "http"+secure)
	var voting sync.WaitGroup
	defer voting.Wait()
	ctx, cancel := limit.Context(t.Context(), 5*time.Minute)
	defer cancel()
	voters, done := make([]*voter, 8), make(chan struct{})
	for i := range voters {
		var err error
		if voters[i], err = newVoter(ctx, m, "ws"+secure, i%3); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = voters[i].conn.CloseNow() }()
		voting.Go(func() {
			if err := voters[i].vote(ctx, done); err != nil {
				t.Errorf("voter %d: %v", i, err)
			}
		})
	}
	want, generation := []int{0, 0, 0}, 1
	for range rounds {
		for _, how := range []string{"reload", "restart"} {
			awaitVotes(t, m, voters)
			page.await(fmt.Sprint("seen.generations.length === ", generation))
			generation++
			page.click()
			m.MustRun("systemctl", how, "live")
			page.click()
			want[0] += 2
		}
	}
	awaitVotes(t, m, voters)
	close(done)
	voting.Wait()
	for _, v := range voters {
		want[v.choice] += int(v.cast.Load())
	}
	for i, v := range voters {
		if err := v.awaitResult(ctx, want); err != nil {
			t.Errorf("voter %d: %v", i, err)
		}
	}
	page.awaitShown(want)
	page.check(1 + 2*rounds)
	if path := os.Getenv("HEIRLOOM_SCREENSHOT"); path != "" {
		page.takeScreenshot(path)
	}
	exampletest.CheckRunning(t, m)
	if secure != "" {
		checkSessions(t, m, len(voters)+1)
	}

	// A crash loses connections, to which the page is used, but no vote.
	m.MustRun("systemctl", "kill", "--signal=KILL", "live")
	page.await("seen.connections === 2")
	page.awaitShown(want)
}

// awaitVotes waits until each voter has voted a few more times.
func awaitVotes(t *testing.T, m *sdtest.Machine, voters []*voter) {
	t.Helper()
	const more = 3
	before := make([]int64, len(voters))
	for i, v := range voters {
		before[i] = v.cast.Load()
	}
	m.Wait("everybody to vote", func() bool {
		for i, v := range voters {
			if !t.Failed() && v.cast.Load() < before[i]+more {
				return false
			}
		}
		return true
	})
}
