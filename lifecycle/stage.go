package lifecycle

import "sync/atomic"

// A State is where a Service stands.
type State string

// The states of a Service, in the order in which it may come to them; Reloading
// goes back to Ready when it fails.
const (
	Starting  State = "starting"  // not serving yet, or serving but not yet the main process
	Ready     State = "ready"     // serving
	Reloading State = "reloading" // serving, while a successor starts
	LameDuck  State = "lame duck" // serving, but about to drain: see Options.LameDuck
	Draining  State = "draining"  // finishing what was begun
	Gone      State = "gone"      // Run has returned
)

// A stage says to any goroutine how far the service is. The loop alone changes
// it.
type stage struct {
	shown    atomic.Pointer[State] // to those who ask Readiness; nil before Run
	lameDuck chan struct{}         // closed when this process is a lame duck
	draining chan struct{}         // closed when the drain begins
	replaced atomic.Bool           // by a successor, or about to be in place
	gone     chan struct{}         // closed when Run returns
}

func newStage() stage {
	return stage{lameDuck: make(chan struct{}), draining: make(chan struct{}), gone: make(chan struct{})}
}
