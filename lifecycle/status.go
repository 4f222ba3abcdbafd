package lifecycle

import (
	"context"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/drain"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/predecessor"
)

// Status tells where a service stands, as of the moment it was asked. It is
// what `PROGRAM status -json` prints; fields may be added to it, and none will
// change its meaning.
type Status struct {
	Name        string      `json:"name"`
	PID         int         `json:"pid"`
	Generation  int         `json:"generation"`
	Version     string      `json:"version,omitempty"`
	State       State       `json:"state"`
	Since       time.Time   `json:"since"` // when it came to State; a reload that fails leaves Ready as it was
	Connections Connections `json:"connections"`
	Requests    int         `json:"requests_in_flight"`
	// Jobs are the servers (Serve) and workers (Go) that run, and in a drain
	// each function of Release that the next process waits for, as "Release of
	// NAME".
	Jobs         []string      `json:"jobs,omitempty"`
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
	// moved here: "old_version", before TLS 1.3; "http2"; "protocol", another
	// than HTTP/1.1 that was negotiated; "suite", one that is not known;
	// "unproven", if it could not be told how many records were sent; "ended",
	// "too_large"; "wrapped", by a listener of the program's that does not let
	// them go (see Service.Listen); and of those that moved here "refused", by
	// the TLSConfig of this process, "format", written by a version of this
	// library that writes another one, and "malformed".
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
	Jobs        []string    `json:"jobs,omitempty"`  // see Status
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

// A statusAnswer is the status as the loop knows it, and the predecessors that
// are still to be asked for theirs.
type statusAnswer struct {
	status       Status
	predecessors []*predecessor.Predecessor
}

// Status asks the running service, and the predecessors that still drain, where
// they stand; it waits for them up to half a second. A process that is about to
// be the main one is waited for as long, and says nothing of its predecessors
// before. Before Run the state is Starting and after it Gone, and nothing is
// counted. The error is that of ctx.
func (s *Service) Status(ctx context.Context) (Status, error) {
	if !s.isRunning() {
		return s.identity(Starting), nil
	}
	query := make(chan statusAnswer, 1)
	asked, err := s.query(ctx, query)
	if err != nil {
		return Status{}, err
	}
	if !asked {
		return s.identity(Gone), nil
	}
	answer := <-query
	answer.status.Predecessors = reports(ctx, answer.predecessors)
	return answer.status, nil
}

// startingPatience is how long a query waits for a process to be the main one.
// When the reload command has ended, that is a matter of a message on its way:
// the status that follows is not to tell of a process that starts.
const startingPatience = 500 * time.Millisecond

// query asks the loop, and returns false if that has ended.
func (s *Service) query(ctx context.Context, query chan statusAnswer) (asked bool, err error) {
	patient := time.NewTimer(startingPatience)
	defer patient.Stop()
	var whileStarting chan chan statusAnswer
	for {
		select {
		case s.asked.queries <- query:
			return true, nil
		case whileStarting <- query:
			return true, nil
		case <-patient.C:
			whileStarting = s.asked.patient
		case <-s.stage.gone:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// identity is the part of the status that does not change.
func (s *Service) identity(state State) Status {
	return Status{
		Name:         s.options.Name,
		PID:          os.Getpid(),
		Generation:   s.inherited.Generation,
		Version:      s.options.Version,
		State:        state,
		Predecessors: []Predecessor{},
	}
}

// reports asks all predecessors at once. One that ends before it answers is
// left out.
func reports(ctx context.Context, older []*predecessor.Predecessor) []Predecessor {
	predecessors := []Predecessor{}
	for _, r := range predecessor.Ask(ctx, older) {
		predecessors = append(predecessors, Predecessor{
			PID:         r.PID,
			Generation:  r.Generation,
			Since:       r.Since,
			Connections: Connections(conntrack.CountsOf(r.Connections)),
			Requests:    r.Requests,
			Jobs:        r.Jobs,
			Ends:        r.Ends,
			Error:       r.Missing,
		})
	}
	return predecessors
}

// lastReload tells of the outcome of a reload, as the wire has it.
func lastReload(o handover.Outcome) *LastReload {
	last := &LastReload{At: o.At, Result: "done", Reason: o.Reason, Seconds: o.Duration.Seconds(), Generation: o.Generation, DryRun: o.DryRun}
	if o.Reason != "" {
		last.Result = "failed"
	}
	return last
}
