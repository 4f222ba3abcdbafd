package profile_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/profile"
)

// TestStackLogger logs the stacks once at a time, however many there are.
func TestStackLogger(t *testing.T) {
	var text bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &text})
	var l profile.StackLogger
	write := l.Next(log)
	if write == nil || l.Next(log) != nil {
		t.Fatal("it does not log once at a time")
	}
	write()
	if !strings.Contains(text.String(), "TestStackLogger") || !strings.Contains(text.String(), "goroutine ") || strings.Contains(text.String(), `\t`) {
		t.Errorf("the log is %q", &text)
	}
	if l.Next(log) == nil {
		t.Error("it logs once and never again")
	}
	done := make(chan struct{})
	defer close(done)
	for range 300 {
		go func() { <-done }()
	}
	if stacks := profile.Stacks(); strings.Count(stacks, "\n\n") > 200 || !strings.Contains(stacks, "TestStackLogger") {
		t.Errorf("the stacks of 300 goroutines are %d bytes", len(stacks))
	}
}
