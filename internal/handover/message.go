package handover

import "time"

// A Type says what a Message is about. The comment of each names the sender and the fields that go with it.
type Type string

const (
	Inheritance Type = "inheritance" // predecessor: Protocol, PID, Generation, Bound
	Ready       Type = "ready"       // successor: Protocol, PID, Listeners
	Failed      Type = "failed"      // successor: Reason; it will not become ready
	Go          Type = "go"          // predecessor: accept connections from now on
	Serving     Type = "serving"     // successor: it accepts
	Main        Type = "main"        // predecessor: the service manager was told that you are the main process; Outcome
	Adopt       Type = "adopt"       // predecessor: PID, Generation, and the socket of an older generation that still drains
	Heir        Type = "heir"        // successor, to a generation it adopted: PID, Generation, Listeners
	Connections Type = "connections" // predecessor: Listener, Address, and the connections accepted there
	Taken       Type = "taken"       // successor: Count of the connections, from the first on, that it keeps
	Status      Type = "status"      // successor: asks for a Draining
	Draining    Type = "draining"    // predecessor: Report
	Hurry       Type = "hurry"       // successor: Left, the time to finish in; connections may still move
	Stop        Type = "stop"        // either: Left, the time to finish in; the service ends, nothing takes connections any more
	Reload      Type = "reload"      // predecessor: passes on a reload asked of it too late
	Reloaded    Type = "reloaded"    // successor: Outcome of that reload
)

// A Message is one packet. Fields that its Type does not name are empty.
type Message struct {
	Type       Type          `json:"type"`
	Protocol   int           `json:"protocol,omitempty"`
	PID        int           `json:"pid,omitempty"`
	Generation int           `json:"generation,omitempty"`
	Bound      []Bound       `json:"bound,omitempty"`
	Listeners  []string      `json:"listeners,omitempty"`
	Listener   string        `json:"listener,omitempty"`
	Address    string        `json:"address,omitempty"`
	Count      int           `json:"count,omitempty"`
	Left       time.Duration `json:"left,omitempty"` // nanoseconds
	Reason     string        `json:"reason,omitempty"`
	Report     *Report       `json:"report,omitempty"`
	Outcome    *Outcome      `json:"outcome,omitempty"`
}

// Bound tells of a listener that the service bound itself, rather than being handed it by systemd: the last generation
// removes its Unix path, and a successor that asks for another address binds anew.
type Bound struct {
	Name    string `json:"name"`
	Network string `json:"network"`
	Address string `json:"address"` // as it was asked for, not as it came out
}

// Report is a draining generation's account of itself.
type Report struct {
	Since       time.Time      `json:"since"`       // when the drain began
	Connections map[string]int `json:"connections"` // by http.ConnState
	Requests    int            `json:"requests"`    // in flight
}

// Outcome tells how a reload went.
type Outcome struct {
	At         time.Time     `json:"at"`         // when it began
	Duration   time.Duration `json:"duration"`   // nanoseconds
	Reason     string        `json:"reason"`     // why it failed; empty if it did not
	Generation int           `json:"generation"` // which serves since
	PID        int           `json:"pid"`
}
