// Package kills tells the requests that the kill of a process may break from
// those that it may not.
//
// A kill breaks what was under way. The server itself says what that was: it
// logs each change of state of each connection, and is killed after that line,
// or before it. In between only the kernel knows whether a request was read,
// and the next process says in its log which connections it has closed for
// that.
package kills

import (
	"strings"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
)

// A Kill is what is known of one.
type Kill struct {
	// States has the last state of each connection, by the address of its
	// client: see States.
	States map[string]string
	// Cut has the connections that the next process has closed: see Cut.
	Cut map[string]string
}

// States reads the last state of each connection, by the address of its client,
// from lines of an address and an http.ConnState.
func States(log string) map[string]string {
	states := make(map[string]string)
	for line := range strings.Lines(log) {
		address, state, _ := strings.Cut(strings.TrimSpace(line), " ")
		states[address] = state
	}
	return states
}

// Cut reads from the messages of a process which clients' connections it has
// closed since a request had begun, and how much of that was read. It also
// returns how many those are: of some the client is not known any more.
func Cut(journal string) (cut map[string]string, n int) {
	const message = "closing a connection whose request died with its process: listener=http remote="
	cut = make(map[string]string)
	for line := range strings.Lines(journal) {
		if _, rest, found := strings.Cut(line, message); found {
			remote, read, _ := strings.Cut(strings.TrimSpace(rest), " ")
			cut[remote] = read
			n++
		}
	}
	return cut, n
}

// A Verdict says what a connection did at the kill.
type Verdict string

const (
	// UnderWay is a request that the server was answering.
	UnderWay Verdict = "under way"
	// Young is a connection that was not kept yet: its client connects long
	// before it asks, and the kill came early.
	Young Verdict = "young"
	// Read is a request of which only the kernel knows that it was read, or a
	// response that was sent while its server did not wait for the next request
	// yet.
	Read Verdict = "read"
	// Rest is a connection that the kill should not have broken, or one that
	// the server did not know.
	Rest Verdict = "at rest"
)

// Judge says what a connection did at the kill, by the requests on it that
// broke. There was a connection.
func (k Kill) Judge(e *loadtest.BrokenError) Verdict {
	client := e.Conn.Local.String()
	state := k.States[client]
	_, cut := k.Cut[client]
	switch {
	case state == "active":
		return UnderWay
	case e.Class == loadtest.ConnectThenWait && state == "new" && !cut:
		return Young
	case cut:
		return Read
	default:
		return Rest
	}
}
