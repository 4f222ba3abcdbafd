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
	shown    atomic.Pointer[State] // to those who ask Readiness; nil before anything is served
	lameDuck chan struct{}         // closed when this process is a lame duck
	draining chan struct{}         // closed when the drain begins
	replaced atomic.Bool           // by a successor, or about to be in place
	gone     chan struct{}         // closed when Run returns
}

func newStage() stage {
	return stage{lameDuck: make(chan struct{}), draining: make(chan struct{}), gone: make(chan struct{})}
}

func (s *stage) show(state State) { s.shown.Store(&state) }

// Draining is closed when this process starts to drain, because it was replaced
// or is to end. Use it to end long polls, server-sent events and hijacked
// connections, which might go on for ever. The client's next request or
// connection finds the next process, if there is one.
func (s *Service) Draining() <-chan struct{} { return s.stage.draining }

// LameDuck is closed when the service was told to stop and goes on for a while
// only because Options.LameDuck says so. Readiness then answers that the
// service is not ready. Use it to update other health endpoints, such as
// gRPC's. It is not closed on a reload or a restart: the next process serves in
// a moment.
func (s *Service) LameDuck() <-chan struct{} { return s.stage.lameDuck }

// Replaced reports whether this process drains because a successor has taken
// over, or is about to in place, rather than because it was told to stop. A
// restart by the service manager is a stop to this process.
func (s *Service) Replaced() bool { return s.stage.replaced.Load() }
