package lifecycle

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/drainbudget"
	"github.com/heirloom-go/heirloom/internal/printable"
)

// maxStatusText keeps a STATUS= line readable, and far below the 4096 bytes
// that a notification may have.
const maxStatusText = 1000

// statusText is the line that `systemctl status` shows.
func statusText(text string, generation int) string {
	return fmt.Sprintf("generation %d, %s", generation, printable.OneLine(text, maxStatusText))
}

// write writes the status for people. What the service says is text from
// outside: a line for each, which cannot look like two.
func (s Status) write(out io.Writer) error {
	now := time.Now()
	table := printable.NewTable(out)
	line := table.Line
	line(s.Name, "generation %d, %s for %s", s.Generation, s.State, ago(now, s.Since))
	line("pid", "%d", s.PID)
	if s.Version != "" {
		line("version", "%s", s.Version)
	}
	line("connections", "%s", s.Connections)
	line("requests", "%d in flight", s.Requests)
	if len(s.Jobs) > 0 {
		line("jobs", "%s", strings.Join(s.Jobs, ", "))
	}
	if d := s.Drain; d != nil {
		line("drain", "%s", d)
	}
	if l := s.LastReload; l != nil {
		what, why := "last reload", ""
		if l.DryRun {
			what = "dry run"
		}
		if l.Reason != "" {
			why = ": " + l.Reason
		}
		line(what, "%s %s ago after %.3f s%s", l.Result, ago(now, l.At), l.Seconds, why)
	}
	if t := s.TLS; t != nil {
		line("tls", "%s", t)
	}
	if l := s.Ledger; l != nil {
		line("ledger", "%s", l)
	}
	for _, p := range s.Predecessors {
		line("draining", "generation %d (pid %d) %s", p.Generation, p.PID, p.progress(now))
	}
	return table.Flush()
}

func (p Predecessor) progress(now time.Time) string {
	if p.Error != "" {
		return p.Error
	}
	text := fmt.Sprintf("for %s, requests: %d in flight, connections: %s", ago(now, p.Since), p.Requests, p.Connections)
	if len(p.Jobs) > 0 {
		text += ", jobs: " + strings.Join(p.Jobs, ", ")
	}
	return text + timeLeft(p.Ends)
}

// String says what moved and what did not, for people.
func (t *TLSMoves) String() string { return conntrack.Sessions(*t).String() }

// String says how far the drain is, for people.
func (d *Drain) String() string {
	switch {
	case d.Source == "":
		return string(d.Phase)
	case d.Timeout == 0:
		return fmt.Sprintf("%s, without a limit (%s)", d.Phase, d.Source)
	default:
		return fmt.Sprintf("%s%s (timeout %g s: %s)", d.Phase, timeLeft(d.Ends), d.Timeout, d.Source)
	}
}

// String says how many connections are in which state, for people.
func (c Connections) String() string { return conntrack.Counts(c).String() }

func ago(now, then time.Time) time.Duration {
	d := now.Sub(then)
	if d > time.Minute {
		return d.Round(time.Second)
	}
	return d.Round(time.Millisecond)
}

// timeLeft says how much time there is, if there is a limit.
func timeLeft(ends time.Time) string {
	left := time.Until(ends)
	if ends.IsZero() || left > drainbudget.NoLimit/2 {
		return ""
	}
	return fmt.Sprintf(", %d s left", max(int(left.Round(time.Second)/time.Second), 0))
}

// waits says what an older generation waits for.
func (p Predecessor) waits() string {
	if p.Error != "" {
		return p.Error
	}
	return cmp.Or(conntrack.Counts(p.Connections).Leftover(p.Jobs), "nothing") + timeLeft(p.Ends)
}
