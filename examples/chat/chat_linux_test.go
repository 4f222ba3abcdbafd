package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestReplaced has people chat by programs that know nothing of the server,
// while it is reloaded and restarted. Each has one connection from the first
// line to the last, and all see the same lines, in the same order, without gap
// or repetition.
func TestReplaced(t *testing.T) {
	program := exampletest.Build(t, exampletest.Race()...)
	for _, v := range exampletest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			m := exampletest.Boot(t, v, program, exampletest.NoRaceExit)
			chatter := newClient(t, m, "chatter", programs[0])
			chatter.enter(t, "/topic the quick brown fox")
			chatter.await(t, 0, "* chatter has set the topic: the quick brown fox")
			everybody := []*client{chatter}
			for i, name := range []string{"ann", "bob", "cat", "dan", "eve"} {
				everybody = append(everybody, newClient(t, m, name, programs[i%len(programs)]))
			}
			m.Install(program, good)
			said := chatThrough(t, m, everybody, sdtest.Rounds(v, 3))
			checkScreens(t, everybody, said)
			checkNewcomer(t, m, everybody)
			exampletest.CheckRunning(t, m)
		})
	}
}

// chatThrough has all but the first speak, while the server fails to be
// reloaded, is reloaded and is restarted that often. The first types a line
// meanwhile, with each of that in the middle. It returns how many lines each of
// the others has said.
func chatThrough(t *testing.T, m *sdtest.Machine, everybody []*client, rounds int) []int {
	t.Helper()
	typist, speakers := everybody[0], everybody[1:]
	typist.enter(t, "begin")
	typist.await(t, 0, "chatter: begin")
	said, done := make([]int, len(speakers)), make(chan struct{})
	var speaking sync.WaitGroup
	defer speaking.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i, c := range speakers {
		speaking.Go(func() {
			var err error
			if said[i], err = c.speak(ctx, done); err != nil {
				t.Error(err)
			}
		})
	}
	for n := range rounds {
		failReload(t, m)
		for _, how := range []string{"reload", "restart"} {
			first, second := fmt.Sprintf("half of a %s", how), fmt.Sprintf(", and the rest of it, %d", n)
			if err := typist.press(first); err != nil {
				t.Fatal(err)
			}
			awaitAll(t, typist, speakers)
			m.MustRun("systemctl", how, "chat")
			typist.enter(t, second)
			typist.await(t, 0, "chatter: "+first+second)
		}
	}
	awaitAll(t, typist, speakers)
	close(done)
	speaking.Wait()
	typist.enter(t, "end")
	return said
}

// good is the path of the program where no package manager replaces it.
const good = "/usr/local/bin/good"

// failReload reloads while a program is installed of which only the commands
// work.
func failReload(t *testing.T, m *sdtest.Machine) {
	t.Helper()
	m.WriteFile("/usr/bin/chat", "#!/bin/sh\n[ $# -gt 0 ] && exec "+good+" \"$@\"\nexit 3\n", 0o755)
	if out, err := m.Run("systemctl", "reload", "chat"); err == nil {
		t.Errorf("the reload succeeded: %s", out)
	}
	m.MustRun("cp", "--remove-destination", good, "/usr/bin/chat")
}

// awaitAll waits until each of the speakers has said something more.
func awaitAll(t *testing.T, reader *client, speakers []*client) {
	t.Helper()
	from := len(reader.lines())
	for _, s := range speakers {
		err := reader.waitUntil(t.Context(), func(screen []string) bool {
			return slices.ContainsFunc(screen[from:], func(line string) bool { return strings.HasPrefix(line, s.name+": ") })
		})
		if err != nil {
			t.Fatalf("%s has fallen silent: %v", s.name, err)
		}
	}
}

// checkScreens checks that all have seen the same, and that it is all that was
// said.
func checkScreens(t *testing.T, everybody []*client, said []int) {
	t.Helper()
	var all []string
	for _, c := range everybody {
		c.await(t, 0, "chatter: end")
		screen := c.lines()
		screen = screen[slices.Index(screen, "chatter: begin"):]
		if all == nil {
			all = screen
		}
		if i := firstDifference(screen, all); i >= 0 {
			t.Errorf("%s sees %q where %s sees %q", c.name, around(screen, i), everybody[0].name, around(all, i))
		}
	}
	next := make(map[string]int)
	for _, line := range all {
		name, text, _ := strings.Cut(line, ": ")
		if name == "chatter" {
			continue
		}
		if text != fmt.Sprint(next[name]) {
			t.Fatalf("%q where %d is next", line, next[name])
		}
		next[name]++
	}
	for i, c := range everybody[1:] {
		if next[c.name] != said[i] {
			t.Errorf("%d lines of %s, who said %d", next[c.name], c.name, said[i])
		}
	}
	t.Logf("%d lines: %v", len(all), next)
}

func firstDifference(a, b []string) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return -1
}

func around(lines []string, i int) []string {
	return lines[min(max(0, i-1), len(lines)):min(i+2, len(lines))]
}

// checkNewcomer checks that somebody who comes now is told the topic and what
// was said last, and sees who is there.
func checkNewcomer(t *testing.T, m *sdtest.Machine, everybody []*client) {
	t.Helper()
	old := everybody[0].lines()
	c := newClient(t, m, "newcomer", programs[0])
	c.enter(t, "/who")
	c.await(t, 0, "* ann, bob, cat, chatter, dan, eve, newcomer")
	screen := c.lines()
	from := slices.Index(screen, "* You are in den: the quick brown fox")
	want := append(old[len(old)-9:], "* newcomer has come", "* ann, bob, cat, chatter, dan, eve, newcomer")
	if from < 0 || !slices.Equal(screen[from+1:], want) {
		t.Errorf("the newcomer sees %q, want %q", screen, want)
	}
}
