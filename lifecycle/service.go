package lifecycle

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/heirloom-go/heirloom/internal/background"
	"github.com/heirloom-go/heirloom/internal/boundedlog"
	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/health"
	"github.com/heirloom-go/heirloom/internal/httpserver"
	"github.com/heirloom-go/heirloom/internal/inherited"
	"github.com/heirloom-go/heirloom/internal/passedstate"
	"github.com/heirloom-go/heirloom/internal/profile"
	"github.com/heirloom-go/heirloom/internal/servicemanager"
	"github.com/heirloom-go/heirloom/internal/signals"
	"github.com/heirloom-go/heirloom/internal/sockets"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// A Service is one generation of a daemon. New makes it, Listen and HTTP say
// what it serves, and Run serves.
//
// Goroutines may share a Service. The methods that say what it serves must come
// before [Service.Run]: Listen, ListenPacket, ListenAll, ListenPacketAll, HTTP,
// HTTPS, HTTPBy, ServeHijacked, ServeStreams, ServeStreamsTLS, Serve,
// ServePacket, Go, PassState, WithoutLedger and AnswerLostRequests. Afterwards
// their errors match [ErrRunning].
type Service struct {
	options    Options
	log        *boundedlog.Logger
	program    string
	caught     signals.Caught
	inherited  *inherited.Inherited // what the process was started with
	startedAs  int                  // the effective user of New
	manager    *servicemanager.Manager
	conns      *conntrack.Registry
	health     *health.Check
	debug      debugging
	stage      stage
	background *background.Background
	contexts   contexts
	asked      asked
	sockets    *sockets.Set
	registered registered
	atStep     func(step string) // called at each step of a handover: a test may kill the process just there
}

// Debugging is what the signals for it start.
type debugging struct {
	profiler *profile.Profiler
	stacks   profile.StackLogger
}

// Contexts are those of the program's work.
type contexts struct {
	workers        context.Context // ends when the drain begins
	endWorkers     context.CancelCauseFunc
	requests       context.Context // of HTTP requests, and of the ends of jobs
	cancelRequests context.CancelCauseFunc
}

func newContexts() contexts {
	var c contexts
	c.workers, c.endWorkers = context.WithCancelCause(context.Background())
	c.requests, c.cancelRequests = context.WithCancelCause(context.Background())
	return c
}

// Registered is what the program wants served and run. It is complete when Run
// is called, but for hooks, which lock themselves.
type registered struct {
	mu       sync.Mutex
	started  bool // Run has called the functions of HTTPBy
	closed   bool // Run was called, and the servers are prepared
	servers  []server
	http     *httpserver.Shared // of the servers of HTTP, nil as long as there is none
	jobs     []*callback.Job
	hooks    callback.Hooks
	states   []*passedstate.Source
	receiver *transfer.Receiver // of connections that move to servers; set by Run
	noLedger bool               // see WithoutLedger

	answersLost bool // see AnswerLostRequests
}

// lock locks r.mu for a method that must come before Run. After Run it does not
// lock it: the error says step, with args, and matches ErrRunning.
func (r *registered) lock(step string, args ...any) error {
	r.mu.Lock()
	if !r.closed {
		return nil
	}
	r.mu.Unlock()
	return fmt.Errorf("%s: %w", fmt.Sprintf(step, args...), ErrRunning)
}

// args returns the arguments of the next process. By the first one it finds its
// program, whatever its working directory is by then.
func (s *Service) args() []string {
	if s.options.Program != "" {
		return os.Args
	}
	return append([]string{s.program}, os.Args[1:]...)
}

// Generation returns which generation of the service this is, counted from 1.
// If the unit has a file descriptor store, the count goes on over a restart and
// over a start after a crash. Otherwise it starts again.
func (s *Service) Generation() int { return s.inherited.Generation }

func (s *Service) isRunning() bool {
	s.registered.mu.Lock()
	defer s.registered.mu.Unlock()
	return s.registered.closed
}

// Fail reports err to the predecessor, if there is one, as the reason why this
// process is not going to be ready, and returns err. It does nothing if err is
// nil. Call it before Run. The process should then exit: the predecessor goes
// on serving, and `systemctl reload` fails with that reason.
func (s *Service) Fail(err error) error {
	if s.inherited.Predecessor != nil && err != nil {
		s.inherited.Predecessor.Fail(err.Error())
	}
	return err
}
