package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
	limit "github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// programs connect what is typed, and the screen, to the server.
var programs = [][]string{
	{"socat", "-", "TCP:127.0.0.1:7000"},
	{"ncat", "127.0.0.1", "7000"},
}

// A client is somebody who chats by such a program.
type client struct {
	name     string
	keyboard io.WriteCloser

	mu     sync.Mutex
	screen []string      // lines
	more   chan struct{} // closed when there is another
	ended  bool
}

// newClient starts a program, introduces itself and goes to the room den.
func newClient(t *testing.T, m *sdtest.Machine, name string, program []string) *client {
	t.Helper()
	c := &client{name: name, more: make(chan struct{})}
	command := exampletest.Command(t, m, program[0], program[1:]...)
	c.start(t, command)
	c.await(t, 0, "* Welcome. What is your name?")
	c.enter(t, name)
	c.await(t, 0, "* "+name+" has come")
	c.enter(t, "/join den")
	c.await(t, c.position("* "+name+" has come")+1, "* "+name+" has come")
	return c
}

func (c *client) start(t *testing.T, command *exec.Cmd) {
	t.Helper()
	output, err := command.StdoutPipe()
	if err == nil {
		c.keyboard, err = command.StdinPipe()
	}
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { c.read(output) })
	t.Cleanup(func() {
		_ = command.Process.Kill()
		reading.Wait()
		_ = command.Wait() // it was killed
	})
}

func (c *client) read(output io.Reader) {
	for scanner := bufio.NewScanner(output); scanner.Scan(); {
		c.note(func() { c.screen = append(c.screen, scanner.Text()) })
	}
	c.note(func() { c.ended = true })
}

func (c *client) note(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.more)
	c.more = make(chan struct{})
}

// press presses keys; enter is the last.
func (c *client) press(keys string) error {
	_, err := io.WriteString(c.keyboard, keys)
	return err
}

func (c *client) enter(t *testing.T, line string) {
	t.Helper()
	if err := c.press(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// lines returns what is on the screen.
func (c *client) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.screen)
}

func (c *client) position(line string) int { return slices.Index(c.lines(), line) }

// await waits for a line, from that position on.
func (c *client) await(t *testing.T, from int, line string) {
	t.Helper()
	err := c.waitUntil(t.Context(), func(screen []string) bool {
		return len(screen) > from && slices.Contains(screen[from:], line)
	})
	if err != nil {
		t.Fatalf("%s waits for %q: %v", c.name, line, err)
	}
}

// waitUntil waits until there is on the screen what is wanted.
func (c *client) waitUntil(ctx context.Context, there func(screen []string) bool) error {
	ctx, cancel := limit.Context(ctx, 30*time.Second)
	defer cancel()
	for {
		c.mu.Lock()
		found, ended, more, last := there(c.screen), c.ended, c.more, c.screen[max(0, len(c.screen)-3):]
		c.mu.Unlock()
		switch {
		case found:
			return nil
		case ended:
			return fmt.Errorf("the connection has ended after %q", last)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("%w; the last lines are %q", ctx.Err(), last)
		}
	}
}

// speak says numbers from 0, each when the one before is on the screen, until
// done is closed. It returns how many.
func (c *client) speak(ctx context.Context, done <-chan struct{}) (n int, err error) {
	seen := 0
	for ; ; n++ {
		select {
		case <-done:
			return n, nil
		default:
		}
		line := fmt.Sprintf("%s: %d", c.name, n)
		err := c.press(fmt.Sprintf("%d\n", n))
		if err == nil {
			err = c.waitUntil(ctx, func(screen []string) bool {
				for ; seen < len(screen); seen++ {
					if screen[seen] == line {
						return true
					}
				}
				return false
			})
		}
		if err != nil {
			return n, fmt.Errorf("%s waits for %q: %w", c.name, line, err)
		}
	}
}
