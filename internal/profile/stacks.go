package profile

import (
	"bytes"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
)

// maxStacks is how many goroutines are shown one by one; more are shown by
// stack, with their number.
const maxStacks = 200

// Stacks returns the stacks of all goroutines, with blanks for the tabs, which
// hclog writes as \t.
func Stacks() string {
	detail := 2 // as in a panic
	if runtime.NumGoroutine() > maxStacks {
		detail = 1
	}
	var text bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&text, detail) // a bytes.Buffer does not fail
	return strings.ReplaceAll(text.String(), "\t", "    ")
}

// A StackLogger logs the stacks of all goroutines when it is asked to, once at
// a time.
type StackLogger struct{ busy atomic.Bool }

// Next returns a function that logs the stacks, and must be called once. It
// waits for the log. Next is nil as long as one of its kind has not returned.
func (l *StackLogger) Next(log hclog.Logger) (write func()) {
	if !l.busy.CompareAndSwap(false, true) {
		return nil
	}
	return func() {
		defer l.busy.Store(false)
		log.Info("stacks of all goroutines", "stacks", Stacks())
	}
}
