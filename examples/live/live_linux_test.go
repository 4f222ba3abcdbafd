package main

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/exampletest"
	"github.com/heirloom-go/heirloom/internal/sdtest"
)

// rounds is how many reloads there are, and how many restarts.
const rounds = 3

// TestReplaced has a browser and WebSockets of another library vote, while the server is reloaded and restarted. None of them sees
// its connection end, or an update missing, and each vote is counted once.
func TestReplaced(t *testing.T) {
	program := exampletest.Build(t, exampletest.Race()...)
	m := exampletest.Boot(t, sdtest.V262, program, exampletest.NoRaceExit)
	page := openPage(t, m)
	var voting sync.WaitGroup
	defer voting.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	voters, done := make([]*voter, 8), make(chan struct{})
	for i := range voters {
		var err error
		if voters[i], err = newVoter(ctx, m, i%3); err != nil {
			t.Fatal(err)
		}
		voting.Go(func() {
			if err := voters[i].vote(ctx, done); err != nil {
				t.Errorf("voter %d: %v", i, err)
			}
		})
	}
	want := []int{0, 0, 0}
	for range rounds {
		for _, how := range []string{"reload", "restart"} {
			awaitVotes(t, m, voters)
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
