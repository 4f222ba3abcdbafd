package lifecycle

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/drain"
	"github.com/heirloom-go/heirloom/internal/drainbudget"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/printable"
)

// Status tells where a service stands, as of the moment it was asked. It is
// what `PROGRAM status -json` prints; fields may be added to it, and none will
// change its meaning.
type Status struct {
	Name         string        `json:"name"`
	PID          int           `json:"pid"`
	Generation   int           `json:"generation"`
	Version      string        `json:"version,omitempty"`
	State        State         `json:"state"`
	Since        time.Time     `json:"since"` // when it came to State; a reload that fails leaves Ready as it was
	Connections  Connections   `json:"connections"`
	Requests     int           `json:"requests_in_flight"`
	Jobs         []string      `json:"jobs,omitempty"`   // servers (Serve) and workers (Go) that run
	Drain        *Drain        `json:"drain,omitempty"`  // nil while this generation does not drain
	Predecessors []Predecessor `json:"predecessors"`     // that still drain, the newest first
	LastReload   *LastReload   `json:"last_reload"`      // nil if there was none
	TLS          *TLSMoves     `json:"tls,omitempty"`    // nil without Options.MoveTLS
	Ledger       *Ledger       `json:"ledger,omitempty"` // nil without a service manager
}

// TLSMoves counts the connections of TLS of this process, under
// Options.MoveTLS.
type TLSMoves struct {
	Arrived uint64 `json:"arrived"` // moved here
	Left    uint64 `json:"left"`    // moved to another process
	// Lost are those that left and that no process took: they were closed.
	Lost uint64 `json:"lost"`
	// Stayed says why connections could not move, or were closed when they
	// moved here: "old_version", before TLS 1.3; "http2"; "suite", one that is
	// not known; "unproven", if it could not be told how many records were
	// sent; "ended", "too_large"; "wrapped", by a listener of the program's
	// that does not let them go (see Service.Listen); and of those that moved
	// here "refused", by the TLSConfig of this process, "format", written by a
	// version of this library that writes another one, and "malformed".
	Stayed map[string]uint64 `json:"stayed,omitempty"`
}

// Connections counts connections, those of HTTP by http.ConnState.
type Connections struct {
	New      int `json:"new"`
	Active   int `json:"active"`
	Idle     int `json:"idle"`
	Hijacked int `json:"hijacked"`
	Streams  int `json:"streams"` // of Service.ServeStreams and ServeStreamsTLS, and of Service.Hijack
	Others   int `json:"others"`  // of Service.Serve
}

// A Phase is how far a drain is.
type Phase string

// The phases of a drain, in their order.
const (
	Finishing  = Phase(drain.Finishing)  // requests, connections and jobs end at their leisure
	Cancelling = Phase(drain.Cancelling) // the time is over: contexts are cancelled
	Closing    = Phase(drain.Closing)    // the connections that are left are closed
	Hooks      = Phase(drain.Hooks)      // everything has ended: the functions of Defer run
)

// A Drain tells how far a drain is, and when it has to end.
type Drain struct {
	Phase Phase `json:"phase"`
	// Ends is when what still runs is cancelled, and Timeout the seconds that
	// this comes from. They are zero if there is no limit, or it is not known
	// yet.
	Ends    time.Time `json:"ends,omitzero"`
	Timeout float64   `json:"timeout_seconds"`
	// Source is where Timeout comes from: "Options.DrainTimeout", "varlink",
	// "D-Bus", "unit file", "environment", "the successor" or "default"; "" if
	// it is not known yet.
	Source string `json:"timeout_from,omitempty"`
}

// A Predecessor is an older generation that still drains.
type Predecessor struct {
	PID         int         `json:"pid"`
	Generation  int         `json:"generation"`
	Since       time.Time   `json:"since"` // when its drain began
	Connections Connections `json:"connections"`
	Requests    int         `json:"requests_in_flight"`
	Jobs        []string    `json:"jobs,omitempty"`
	Ends        time.Time   `json:"ends,omitzero"`   // see Drain
	Error       string      `json:"error,omitempty"` // why the figures are missing
}

// LastReload tells how the last reload went, by which this generation came or
// which it survived.
type LastReload struct {
	At         time.Time `json:"at"`                // when it began
	Result     string    `json:"result"`            // "done" or "failed"
	Reason     string    `json:"reason,omitempty"`  // why it failed
	Seconds    float64   `json:"seconds"`           // that it took
	Generation int       `json:"generation"`        // which served after it
	DryRun     bool      `json:"dry_run,omitempty"` // nothing was to be replaced
}

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

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
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
	return orNothing(conntrack.Counts(p.Connections).Leftover(p.Jobs)) + timeLeft(p.Ends)
}

// lastReload tells of the outcome of a reload, as the wire has it.
func lastReload(o handover.Outcome) *LastReload {
	last := &LastReload{At: o.At, Result: "done", Reason: o.Reason, Seconds: o.Duration.Seconds(), Generation: o.Generation, DryRun: o.DryRun}
	if o.Reason != "" {
		last.Result = "failed"
	}
	return last
}
