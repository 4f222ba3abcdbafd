package boundedlog_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/heirloom-go/heirloom/internal/boundedlog"
)

// An output is a pipe that is read while mu can be locked.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	dropped chan struct{} // gets one when that is said
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if bytes.Contains(p, []byte("were dropped")) {
		o.dropped <- struct{}{}
	}
	return o.text.Write(p)
}

func newLogger() (*boundedlog.Logger, *output) {
	o := &output{dropped: make(chan struct{}, 1)}
	return boundedlog.New(hclog.New(&hclog.LoggerOptions{Output: o, Level: hclog.Info})), o
}

// A line is written when the call returns, whichever Logger it is of.
func TestOrder(t *testing.T) {
	log, o := newLogger()
	var want []string
	for i := range 100 {
		line := fmt.Sprintf("line-%d-", i)
		[]func(string, ...any){log.Info, log.Named("part").Warn, log.With("key", "value").Error}[i%3](line)
		log.Debug("unwanted")
		want = append(want, line)
	}
	log.Flush(time.Minute)
	text := o.text.String()
	for _, line := range want {
		before, after, found := strings.Cut(text, line)
		if !found || strings.Contains(before, "line-") {
			t.Fatalf("%s is not next in\n%s", line, text)
		}
		text = after
	}
	if strings.Contains(o.text.String(), "unwanted") {
		t.Error("a line below the level was written")
	}
}

// Nobody waits for an output that is not read, and what was dropped is counted.
func TestOutputStuck(t *testing.T) {
	log, o := newLogger()
	o.mu.Lock()
	for range 1000 { // each waiting a tenth of a second would be more than a minute
		log.Info("said")
	}
	log.Flush(time.Millisecond)
	o.mu.Unlock()
	<-o.dropped
	log.Flush(time.Minute)
	text := o.text.String()
	said, dropped := strings.Count(text, "said"), 0
	if _, after, found := strings.Cut(text, "lines="); found {
		_, _ = fmt.Sscan(after, &dropped)
	}
	if said+dropped != 1000 || dropped == 0 {
		t.Errorf("%d lines were written and %d dropped, of 1000:\n%.3000s", said, dropped, text)
	}
}

// A Logger that panics has nowhere to say so.
func TestPanic(t *testing.T) {
	log := boundedlog.New(broken{hclog.NewNullLogger()})
	log.Info("said")
	log.Flush(time.Minute)
}

type broken struct{ hclog.Logger }

func (broken) IsInfo() bool { return true }

func (broken) Log(hclog.Level, string, ...any) { panic("broken") }

func TestStandardLogger(t *testing.T) {
	log, o := newLogger()
	log.StandardLogger(nil).Print("from net/http")
	log.Flush(time.Minute)
	if !strings.Contains(o.text.String(), "[INFO]  from net/http\n") {
		t.Errorf("log:\n%s", o.text.String())
	}
}
