package handover

import (
	"fmt"
	"time"
)

// A Type says what a Message is about. The comment of each names the sender,
// and the fields and descriptors that go with it.
type Type string

const (
	// Hello opens the socket. The predecessor sends its Process, with the
	// versions that it speaks; Bound; DryRun, and InPlace with it; and in
	// Count how many of State follow.
	Hello Type = "hello"
	// State is one passed state, of the predecessor: Passed, one of States,
	// and its files.
	State Type = "state"
	// Ready is the successor's: Process without its Generation, and Moving.
	Ready Type = "ready"
	// Failed is the successor's, which will not become ready: Reason.
	Failed Type = "failed"
	// Go is the predecessor's: accept connections from now on.
	Go Type = "go"
	// Serving is the successor's: it accepts connections.
	Serving Type = "serving"
	// Main is the predecessor's: the service manager knows that the
	// successor is the main process. Outcome is that of the reload.
	Main Type = "main"
	// Predecessor is the predecessor's, about an older generation that
	// still drains: its PID and Generation, and the handover socket to it.
	Predecessor Type = "predecessor"
	// Retarget is the successor's, to an older generation that it was
	// handed by Predecessor: it takes the connections from now on. PID and
	// Generation, and Moving.
	Retarget Type = "retarget"
	// Connections is the predecessor's: Batch, States if they are of
	// streams or sessions of TLS, and the connections. States of sessions are
	// secret. Without any, and with a Count, it asks whether the successor has
	// room for so many sessions.
	Connections Type = "connections"
	// Accepted is the successor's answer to Connections: it keeps the first
	// Count of them. Reason says that it has no room for the others. If it was
	// asked, it has room for Count.
	Accepted Type = "accepted"
	// Status is the successor's: it asks for a Draining.
	Status Type = "status"
	// Draining is the predecessor's answer to Status: Report.
	Draining Type = "draining"
	// Deadline is the successor's: Left is the time to finish in.
	// Connections may still move.
	Deadline Type = "deadline"
	// Stop is sent by either side when the service ends: Left is the time
	// to finish in, and nobody takes connections any more.
	Stop Type = "stop"
	// Cut is the predecessor's: its time was over, and it cut work, such as
	// requests.
	Cut Type = "cut"
	// Queue is the predecessor's, which is told to stop, and which the service
	// manager still takes for the main process. It comes with the end to write
	// to of a handover socket. The other end is in the file descriptor store,
	// into which the successor cannot put anything. One that does not know this
	// message does without.
	Queue Type = "queue"
	// Reload is the predecessor's: it passes on a reload that it was asked
	// for too late. DryRun.
	Reload Type = "reload"
	// Reloaded is the successor's answer to Reload: Outcome.
	Reloaded Type = "reloaded"
)

// hello1 is how protocol 1, which was never released, called its Hello. The
// fields Protocol, PID and Generation were the same.
const hello1 Type = "inheritance"

// A Message is one packet. Fields that do not go with its Type are empty. On
// the wire the embedded structs are no objects of their own.
type Message struct {
	Type Type `json:"type"`
	Process
	Moving
	Batch
	Passed
	Payload
	Bound   []Bound       `json:"bound,omitempty"`    // of Hello
	DryRun  bool          `json:"dry_run,omitempty"`  // of Hello and Reload: the successor is ended as soon as it is ready
	InPlace bool          `json:"in_place,omitempty"` // of Hello, with DryRun: its program then replaces that of the sender
	Count   int           `json:"count,omitempty"`    // of Hello, Accepted and, as a question, Connections
	Left    time.Duration `json:"left,omitempty"`     // of Deadline and Stop: nanoseconds
	Reason  string        `json:"reason,omitempty"`   // of Failed and Accepted
	Report  *Report       `json:"report,omitempty"`   // of Draining
	Outcome *Outcome      `json:"outcome,omitempty"`  // of Main and Reloaded
}

// A Process is who sends a Hello or Ready, takes over by a Retarget, or is
// spoken of in a Predecessor. The latter two do not say which versions it
// speaks.
type Process struct {
	Protocol   int `json:"protocol,omitempty"`
	MinReader  int `json:"min_reader,omitempty"` // of Hello: the lowest Protocol of a reader that understands what follows
	PID        int `json:"pid,omitempty"`
	Generation int `json:"generation,omitempty"`
}

// Moving names the listeners whose connections move to the sender of a Ready or
// Retarget.
type Moving struct {
	Listeners []string `json:"listeners,omitempty"` // of HTTP
	Streams   []string `json:"streams,omitempty"`   // of Service.ServeStreams
	Sessions  []string `json:"sessions,omitempty"`  // of HTTP with TLS, whose sessions move

	// SecureStreams are those of Streams with TLS, whose sessions move.
	SecureStreams []string `json:"secure_streams,omitempty"`
	// SessionFormat is the tlsmove.Format of the sessions, 1 if it is zero.
	SessionFormat int `json:"session_format,omitempty"`
}

// A Batch says of Connections where they were accepted, and how long each has
// waited for a request.
type Batch struct {
	Listener string  `json:"listener,omitempty"`
	Address  string  `json:"address,omitempty"` // of the listener, since its name may repeat
	Stream   bool    `json:"stream,omitempty"`  // they are of Service.ServeStreams
	TLS      bool    `json:"tls,omitempty"`     // they are sessions of TLS
	Sent     int64   `json:"sent,omitempty"`    // milliseconds since 1970, by the system clock: Waited counts to then
	Waited   []int64 `json:"waited,omitempty"`  // milliseconds, one for each of HTTP; for a first request -1 minus that

	// SecureStream is the listener of sessions of TLS that are not of HTTP, but
	// streams. Listener and Stream are empty then: a reader that does not know
	// SecureStream finds no server, and closes them. It must not serve what is
	// under the session.
	SecureStream string `json:"secure_stream,omitempty"`
}

// Passed says which passed state a State is.
type Passed struct {
	Name    string `json:"name,omitempty"`
	Version int    `json:"version,omitempty"`
}

// Payload is the data of State and of Connections.
type Payload struct {
	States [][]byte `json:"states,omitempty"` // one for each connection, or that of a State: secret with TLS
	Sizes  []int    `json:"sizes,omitempty"`  // Send's: of States that travel in a memfd, the first descriptor
}

// Forget clears the States of sessions of TLS, for whoever has no more use for
// them: they are secret.
func (m Message) Forget() {
	if !m.TLS {
		return
	}
	for _, state := range m.States {
		clear(state)
	}
}

// CheckHello returns an error unless m is the Hello of a process that this one
// understands. It matches ErrProtocol if the process speaks another protocol,
// and ErrMalformed if m is another message.
func (m Message) CheckHello() error {
	switch {
	case m.Type != Hello && m.Type != hello1:
		return fmt.Errorf("%w: %q instead of %q", ErrMalformed, m.Type, Hello)
	case m.Type == hello1 || m.Protocol < MinProtocol || m.MinReader > Protocol:
		return fmt.Errorf("%w: the other process speaks %d, which takes a reader of %d or newer; this process speaks %d to %d",
			ErrProtocol, m.Protocol, m.MinReader, MinProtocol, Protocol)
	}
	return nil
}

// IsHello reports whether m opens the socket, in whatever protocol.
func (m Message) IsHello() bool { return m.Type == Hello || m.Type == hello1 }

// IsOutdated reports whether m is the Hello of a protocol that is older than
// this process understands, and that no later one will understand either.
func (m Message) IsOutdated() bool {
	return m.Type == hello1 || m.Type == Hello && m.Protocol < MinProtocol
}

// Bound is a listener that the service bound itself, rather than systemd. The
// last generation removes its Unix path. A successor that asks for another
// address binds that one.
type Bound struct {
	Name    string `json:"name"`
	Network string `json:"network"`
	Address string `json:"address"` // as the program asked for it, not as it came out
	// File is that of a Unix path, to see whether the path is still this
	// socket's. It is zero if the service could not tell, and then the path
	// counts as gone.
	File FileID `json:"file,omitzero"`
}

// A FileID tells a file from any other that may bear its name.
type FileID struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

// Report is what a draining generation says of itself.
type Report struct {
	Since       time.Time      `json:"since"`          // when the drain began
	Connections map[string]int `json:"connections"`    // by http.ConnState
	Requests    int            `json:"requests"`       // in flight
	Jobs        []string       `json:"jobs,omitempty"` // that still run
	Ends        time.Time      `json:"ends,omitzero"`  // zero if it is not known, or far away
}

// Outcome is how a reload went.
type Outcome struct {
	At         time.Time     `json:"at"`         // when it began
	Duration   time.Duration `json:"duration"`   // nanoseconds
	Reason     string        `json:"reason"`     // why it failed; empty if it did not
	Generation int           `json:"generation"` // which serves since
	PID        int           `json:"pid"`
	DryRun     bool          `json:"dry_run,omitempty"`  // nothing was replaced
	InPlace    bool          `json:"in_place,omitempty"` // nothing is known yet: the process is about to be replaced in place
}
