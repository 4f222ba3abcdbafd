package handover

import (
	"fmt"
	"time"
)

// A Type says what a Message is about. The comment of each names the sender and the fields that go with it.
type Type string

const (
	Inheritance Type = "inheritance" // predecessor: Protocol, MinReader, PID, Generation, Bound, DryRun, Count of the States to follow
	State       Type = "state"       // predecessor: Name, Version, one of States, and files
	Ready       Type = "ready"       // successor: Protocol, PID, Listeners, Streams
	Failed      Type = "failed"      // successor: Reason; it will not become ready
	Go          Type = "go"          // predecessor: accept connections from now on
	Serving     Type = "serving"     // successor: it accepts
	Main        Type = "main"        // predecessor: the service manager was told that you are the main process; Outcome
	Adopt       Type = "adopt"       // predecessor: PID, Generation, and the socket of an older generation that still drains
	Heir        Type = "heir"        // successor, to a generation it adopted: PID, Generation, Listeners, Streams
	Connections Type = "connections" // predecessor: Listener, Address, Stream, States, and the connections accepted there
	Taken       Type = "taken"       // successor: Count of the connections, from the first on, that it keeps
	Status      Type = "status"      // successor: asks for a Draining
	Draining    Type = "draining"    // predecessor: Report
	Hurry       Type = "hurry"       // successor: Left, the time to finish in; connections may still move
	Stop        Type = "stop"        // either: Left, the time to finish in; the service ends, nothing takes connections any more
	Reload      Type = "reload"      // predecessor: DryRun; passes on a reload asked of it too late
	Reloaded    Type = "reloaded"    // successor: Outcome of that reload
)

// A Message is one packet. Fields that its Type does not name are empty.
type Message struct {
	Type       Type          `json:"type"`
	Protocol   int           `json:"protocol,omitempty"`
	MinReader  int           `json:"min_reader,omitempty"` // the lowest Protocol of a reader that understands what follows
	PID        int           `json:"pid,omitempty"`
	Generation int           `json:"generation,omitempty"`
	Bound      []Bound       `json:"bound,omitempty"`
	Listeners  []string      `json:"listeners,omitempty"` // whose connections move
	Streams    []string      `json:"streams,omitempty"`   // the same, served by Service.Stream
	Listener   string        `json:"listener,omitempty"`
	Address    string        `json:"address,omitempty"`
	Stream     bool          `json:"stream,omitempty"`
	Name       string        `json:"name,omitempty"`
	Version    int           `json:"version,omitempty"`
	States     [][]byte      `json:"states,omitempty"` // one for each connection, or that of a State
	Sizes      []int         `json:"sizes,omitempty"`  // Send's: of States that travel in a memfd, the first descriptor
	Count      int           `json:"count,omitempty"`
	Left       time.Duration `json:"left,omitempty"` // nanoseconds
	Reason     string        `json:"reason,omitempty"`
	DryRun     bool          `json:"dry_run,omitempty"` // the successor is ended as soon as it is ready
	Report     *Report       `json:"report,omitempty"`
	Outcome    *Outcome      `json:"outcome,omitempty"`
}

// Compatible returns an error matching ErrProtocol if m is the Inheritance of a process that speaks another protocol.
func (m Message) Compatible() error {
	if m.Protocol < MinProtocol || m.MinReader > Protocol {
		return fmt.Errorf("%w: it is %d, readable by %d, and this process speaks %d to %d", ErrProtocol, m.Protocol, m.MinReader, MinProtocol, Protocol)
	}
	return nil
}

// Bound tells of a listener that the service bound itself, rather than being handed it by systemd: the last generation
// removes its Unix path, and a successor that asks for another address binds anew.
type Bound struct {
	Name    string `json:"name"`
	Network string `json:"network"`
	Address string `json:"address"` // as it was asked for, not as it came out
	File    FileID `json:"file"`    // of a Unix path, so that one that was replaced or removed since is not taken for it
}

// A FileID tells a file from any other that may bear its name.
type FileID struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

// Report is a draining generation's account of itself.
type Report struct {
	Since       time.Time      `json:"since"`          // when the drain began
	Connections map[string]int `json:"connections"`    // by http.ConnState
	Requests    int            `json:"requests"`       // in flight
	Jobs        []string       `json:"jobs,omitempty"` // that still run
	Ends        time.Time      `json:"ends,omitzero"`  // zero if it is not known, or far away
}

// Outcome tells how a reload went.
type Outcome struct {
	At         time.Time     `json:"at"`         // when it began
	Duration   time.Duration `json:"duration"`   // nanoseconds
	Reason     string        `json:"reason"`     // why it failed; empty if it did not
	Generation int           `json:"generation"` // which serves since
	PID        int           `json:"pid"`
	DryRun     bool          `json:"dry_run,omitempty"`  // nothing was replaced
	InPlace    bool          `json:"in_place,omitempty"` // nothing is known yet: the process is about to be replaced in place
}
