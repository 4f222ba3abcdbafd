package lifecycle

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/notify"
)

// progressInterval is how often the service manager is told what is waited for, and asked for more time.
const progressInterval = time.Second

// extendBy is how much more time is asked for at a time: enough for the next time to come, late as it may be.
const extendBy = 3 * progressInterval

// reportProgress begins to tell the service manager what is waited for, here and in older generations, once a second as long as
// there is anything.
func (m *machine) reportProgress() {
	if m.notifier == nil {
		return
	}
	if m.stopping {
		m.extend()
	}
	if !m.reporting {
		m.reporting = true
		m.progress.Reset(progressInterval)
	}
}

// onProgress asks the older generations, which answer later or not at all.
func (m *machine) onProgress() {
	if m.heir != nil || len(m.ancestors) == 0 && m.state != Draining && m.state != LameDuck {
		m.reporting = false
		if m.state == Ready {
			m.tell(m.readyLine())
		}
		return
	}
	m.progress.Reset(progressInterval)
	if m.stopping {
		m.extend()
	}
	ancestors := m.newestFirst()
	m.workers.Go(func() {
		predecessors := reports(m.alive, ancestors)
		select {
		case m.reported <- predecessors:
		case <-m.gone:
		}
	})
}

// onReports tells the service manager what is waited for.
func (m *machine) onReports(predecessors []Predecessor) {
	if m.heir != nil || m.state == Starting {
		return
	}
	m.tell(m.statusLine(m.waitLine(predecessors)))
}

// waitLine says in one line what is waited for.
func (m *machine) waitLine(predecessors []Predecessor) string {
	var parts []string
	switch m.state {
	case LameDuck:
		parts = append(parts, "lame duck: still accepting")
	case Draining:
		parts = append(parts, fmt.Sprintf("%s: %s%s", m.phase, orNothing(m.leftover()), timeLeft(m.budget.finish)))
	case Ready:
		parts = append(parts, m.readyText())
	default:
		parts = append(parts, string(m.state))
	}
	for _, p := range predecessors {
		parts = append(parts, fmt.Sprintf("generation %d draining: %s", p.Generation, p.waits()))
	}
	return strings.Join(parts, "; ")
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

// timeLeft says how much time there is, if there is a limit.
func timeLeft(ends time.Time) string {
	left := time.Until(ends)
	if ends.IsZero() || left > endless/2 {
		return ""
	}
	return fmt.Sprintf(", %d s left", max(int(left.Round(time.Second)/time.Second), 0))
}

// waits says what an older generation waits for.
func (p Predecessor) waits() string {
	if p.Error != "" {
		return p.Error
	}
	return orNothing(leftover(p.Connections, p.Jobs)) + timeLeft(p.Ends)
}

// leftover says what this generation waits for, "" if for nothing.
func (m *machine) leftover() string { return leftover(m.conns.count(), m.jobNames()) }

func leftover(n Connections, jobs []string) string {
	var parts []string
	for _, kind := range []struct {
		n    int
		name string
	}{
		{n.Active, "request"},
		{n.Idle + n.New, "idle connection"},
		{n.Hijacked, "hijacked connection"},
		{n.Streams, "stream"},
		{n.Others, "other connection"},
	} {
		switch {
		case kind.n == 1:
			parts = append(parts, "1 "+kind.name)
		case kind.n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", kind.n, kind.name))
		}
	}
	return strings.Join(append(parts, jobs...), ", ")
}

// extend asks the service manager for more time, if Options says so and as long as the deadline allows.
func (m *machine) extend() {
	if m.options.StopExtension <= 0 {
		return
	}
	d := extendBy
	if m.budget.source != "" {
		d = min(d, time.Until(m.budget.end)+time.Second)
	}
	if d > 0 {
		m.tell(notify.ExtendTimeout(d))
	}
}

// maxStacks is how many goroutines are shown one by one; more are shown by stack, with their number.
const maxStacks = 200

// stacks returns the stacks of all goroutines.
func stacks() string {
	detail := 2 // as in a panic
	if runtime.NumGoroutine() > maxStacks {
		detail = 1
	}
	var text bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&text, detail) // a bytes.Buffer does not fail
	return text.String()
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(0)
	if !t.Stop() {
		<-t.C
	}
	return t
}
