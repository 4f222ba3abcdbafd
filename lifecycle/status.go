package lifecycle

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// reportTimeout bounds the wait for the accounts of draining predecessors.
const reportTimeout = 500 * time.Millisecond

// Status tells where a service stands, as of the moment it was asked. It is what `PROGRAM status -json` prints; fields may
// be added to it, and none will change its meaning.
type Status struct {
	Name         string        `json:"name"`
	PID          int           `json:"pid"`
	Generation   int           `json:"generation"`
	Version      string        `json:"version,omitempty"`
	State        State         `json:"state"`
	Since        time.Time     `json:"since"` // when it came to State; a reload that fails leaves Ready as it was
	Connections  Connections   `json:"connections"`
	Requests     int           `json:"requests_in_flight"`
	Jobs         []string      `json:"jobs,omitempty"`  // servers (Serve) and workers (Go) that run
	Drain        *Drain        `json:"drain,omitempty"` // nil while this generation does not drain
	Predecessors []Predecessor `json:"predecessors"`    // that still drain, the newest first
	LastReload   *LastReload   `json:"last_reload"`     // nil if there was none
}

// Connections counts connections, those of HTTP by http.ConnState.
type Connections struct {
	New      int `json:"new"`
	Active   int `json:"active"`
	Idle     int `json:"idle"`
	Hijacked int `json:"hijacked"`
	Streams  int `json:"streams"` // of Service.Stream
	Others   int `json:"others"`  // of Service.Serve
}

// A Drain tells how far a drain is, and when it has to end.
type Drain struct {
	Phase Phase `json:"phase"`
	// Ends is when what still runs is cancelled, and Timeout the seconds that this comes from.
	// They are zero if there is no limit, or it is not known yet.
	Ends    time.Time `json:"ends,omitzero"`
	Timeout float64   `json:"timeout_seconds"`
	// Source is where Timeout comes from: "Options.DrainTimeout", "varlink", "D-Bus",
	// "unit file", "environment", "the successor" or "default"; "" if it is not known yet.
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

// LastReload tells how the last reload went, by which this generation came or which it survived.
type LastReload struct {
	At         time.Time `json:"at"`                // when it began
	Result     string    `json:"result"`            // "done" or "failed"
	Reason     string    `json:"reason,omitempty"`  // why it failed
	Seconds    float64   `json:"seconds"`           // that it took
	Generation int       `json:"generation"`        // which served after it
	DryRun     bool      `json:"dry_run,omitempty"` // nothing was to be replaced
}

// Status asks the running service, and the predecessors that still drain, where they stand; it waits for them up to half a
// second. Before Run the state is Starting and after it Gone, and nothing is counted. The error is that of ctx.
func (s *Service) Status(ctx context.Context) (Status, error) {
	if !s.isRunning() {
		return s.identity(Starting), nil
	}
	query := make(chan statusAnswer, 1)
	select {
	case s.queries <- query:
	case <-s.gone:
		return s.identity(Gone), nil
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
	answer := <-query
	answer.status.Predecessors = reports(ctx, answer.ancestors)
	return answer.status, nil
}

// identity is the part of the status that does not change.
func (s *Service) identity(state State) Status {
	return Status{
		Name:         s.options.Name,
		PID:          os.Getpid(),
		Generation:   s.generation,
		Version:      s.options.Version,
		State:        state,
		Predecessors: []Predecessor{},
	}
}

// A statusAnswer is what the owner of the state knows, and whom to ask for the rest.
type statusAnswer struct {
	status    Status
	ancestors []*ancestor
}

// statusQueries is a channel that is never ready while this process is not the main one: it soon is.
func (m *machine) statusQueries() <-chan chan statusAnswer {
	if m.state == Starting {
		return nil
	}
	return m.queries
}

func (m *machine) status() statusAnswer {
	answer := statusAnswer{status: m.identity(m.state)}
	answer.status.Since = m.since
	answer.status.Connections = m.conns.count()
	answer.status.Requests = answer.status.Connections.Active
	if m.last != nil {
		answer.status.LastReload = lastReload(*m.last)
	}
	answer.status.Jobs = m.jobNames()
	if m.state == Draining {
		answer.status.Drain = m.drainStatus()
	}
	answer.ancestors = m.newestFirst()
	return answer
}

func (m *machine) drainStatus() *Drain {
	d := &Drain{Phase: m.phase, Source: m.budget.source}
	if m.budget.timeout < endless {
		d.Ends, d.Timeout = m.budget.finish, m.budget.timeout.Seconds()
	}
	return d
}

func (m *machine) newestFirst() []*ancestor {
	ancestors := slices.Clone(m.ancestors)
	slices.SortFunc(ancestors, func(a, b *ancestor) int { return b.generation - a.generation })
	return ancestors
}

func lastReload(o handover.Outcome) *LastReload {
	last := &LastReload{At: o.At, Result: "done", Reason: o.Reason, Seconds: o.Duration.Seconds(), Generation: o.Generation, DryRun: o.DryRun}
	if o.Reason != "" {
		last.Result = "failed"
	}
	return last
}

// reports asks all ancestors at once. One that ends meanwhile is left out.
func reports(ctx context.Context, ancestors []*ancestor) []Predecessor {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	answers := make([]*Predecessor, len(ancestors))
	var wg sync.WaitGroup
	for i, a := range ancestors {
		wg.Go(func() { answers[i] = predecessor(ctx, a) })
	}
	wg.Wait()
	predecessors := []Predecessor{}
	for _, p := range answers {
		if p != nil {
			predecessors = append(predecessors, *p)
		}
	}
	return predecessors
}

func predecessor(ctx context.Context, a *ancestor) *Predecessor {
	p := &Predecessor{PID: a.pid, Generation: a.generation}
	r, err := a.report(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		return nil
	case err != nil:
		p.Error = "it did not answer in time"
		return p
	}
	p.Since, p.Requests, p.Jobs, p.Ends = r.Since, r.Requests, r.Jobs, r.Ends
	p.Connections = Connections{
		New:      r.Connections["new"],
		Active:   r.Connections["active"],
		Idle:     r.Connections["idle"],
		Hijacked: r.Connections["hijacked"],
		Streams:  r.Connections["streams"],
		Others:   r.Connections["others"],
	}
	return p
}

// maxStatusText keeps a STATUS= line readable, and far below the 4096 bytes that a notification may have.
const maxStatusText = 1000

// statusText is the line that `systemctl status` shows.
func statusText(text string, generation int) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if len(text) > maxStatusText {
		text = strings.ToValidUTF8(text[:maxStatusText], "") + "..."
	}
	return fmt.Sprintf("generation %d, %s", generation, text)
}

// write writes the status for people.
func (s Status) write(out io.Writer) error {
	now := time.Now()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\tgeneration %d, %s for %s\n", s.Name, s.Generation, s.State, ago(now, s.Since))
	fmt.Fprintf(w, "pid\t%d\n", s.PID)
	if s.Version != "" {
		fmt.Fprintf(w, "version\t%s\n", s.Version)
	}
	fmt.Fprintf(w, "connections\t%s\n", s.Connections)
	fmt.Fprintf(w, "requests\t%d in flight\n", s.Requests)
	if len(s.Jobs) > 0 {
		fmt.Fprintf(w, "jobs\t%s\n", strings.Join(s.Jobs, ", "))
	}
	if d := s.Drain; d != nil {
		fmt.Fprintf(w, "drain\t%s\n", d)
	}
	if l := s.LastReload; l != nil {
		what := "last reload"
		if l.DryRun {
			what = "dry run"
		}
		fmt.Fprintf(w, "%s\t%s %s ago after %.3f s", what, l.Result, ago(now, l.At), l.Seconds)
		if l.Reason != "" {
			fmt.Fprintf(w, ": %s", l.Reason)
		}
		fmt.Fprintln(w)
	}
	for _, p := range s.Predecessors {
		fmt.Fprintf(w, "draining\tgeneration %d (pid %d) %s\n", p.Generation, p.PID, p.progress(now))
	}
	return w.Flush()
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
func (c Connections) String() string {
	text := fmt.Sprintf("%d active, %d idle, %d new", c.Active, c.Idle, c.New)
	if c.Hijacked > 0 {
		text += fmt.Sprintf(", %d hijacked", c.Hijacked)
	}
	if c.Streams > 0 {
		text += fmt.Sprintf(", %d streams", c.Streams)
	}
	if c.Others > 0 {
		text += fmt.Sprintf(", %d others", c.Others)
	}
	return text
}

func ago(now, then time.Time) time.Duration {
	d := now.Sub(then)
	if d > time.Minute {
		return d.Round(time.Second)
	}
	return d.Round(time.Millisecond)
}
