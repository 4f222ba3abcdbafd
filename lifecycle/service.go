package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/notify"
)

var (
	// ErrReload is matched by the error of a reload that failed. The service goes on as if it
	// had not been asked.
	ErrReload = errors.New("reload failed")
	// ErrStopping is matched by the error of a reload that was asked of a service on its way
	// out, and is the cause of the context of a worker that is to end with the service.
	ErrStopping = errors.New("the service is stopping")
	// ErrDrainTimeout is matched by the error of a Run whose drain did not end in time, and is
	// the cause of the contexts of requests that were cancelled for it.
	ErrDrainTimeout = errors.New("drain timed out")
	// ErrReserved is matched by the errors of Listen, ListenPacket and Bequeath for a name that
	// heirloom itself uses. Such names begin with heirloom.
	ErrReserved = errors.New("the name is heirloom's own")
	// ErrNoCertificate is matched by the error of HTTP for a server whose TLSConfig cannot
	// serve anybody.
	ErrNoCertificate = errors.New("TLSConfig has no certificate")
	// ErrRunning is matched by the errors of Run, and of the methods that must come before it,
	// when Run was called before.
	ErrRunning = errors.New("the service runs already")
)

// handshakeTimeout bounds the wait for what the predecessor wrote before it started this process.
const handshakeTimeout = 5 * time.Second

// A Service is one generation of a daemon. New makes it; Listen and HTTP say what it serves; Run serves.
//
// Goroutines may share a Service. What says what it serves must come before [Service.Run]: Listen, ListenPacket, HTTP, Hijacked,
// Stream, Serve, ServePacket, Go and Bequeath. Afterwards their errors match [ErrRunning].
type Service struct {
	options    Options
	log        hclog.Logger
	program    string
	notifier   *notify.Notifier
	table      *activation.Table
	generation int
	handed     []handover.Bound  // what the predecessor had bound itself
	ancestor   *ancestor         // the predecessor, until Run takes it over
	dryRun     bool              // it only wants to know whether this process gets ready
	estates    []*estate         // of predecessors that are gone
	foreign    []string          // names in the file descriptor store that are to stay there
	outcome    *handover.Outcome // of the reload in place by which this process came
	stopAsked  bool              // of the program before, in place, too late for it
	heirlooms  map[string]Heirloom
	bequests   []bequest
	elders     elders
	signals    chan os.Signal
	atStep     func(step string) // called at each step of a handover: a test may kill the process just there

	conns    *registry
	taker    atomic.Pointer[taker] // of connections at rest, while this generation drains
	returned chan struct{}         // receives, with room for one, when the taker gave some back
	lingered atomic.Bool           // the linger is over: what rests and cannot move is closed
	late     atomic.Bool           // half the drain is over: what never rests is told Connection: close
	leaving  chan struct{}         // closed when the drain begins
	lame     chan struct{}         // closed when this process is a lame duck
	draining atomic.Bool           // it has begun, or is about to
	replaced atomic.Bool

	shown      atomic.Pointer[State] // to those who ask Readiness; nil before Run
	health     *health
	profiler   *profiler
	tools      chan os.Signal // of their own, so that many do not keep out one to stop
	logging    atomic.Bool    // the stacks are being written
	signOfLife time.Duration  // WatchdogSec=, 0 if there is none

	toDrain        context.Context // of workers
	endWork        context.CancelCauseFunc
	requests       context.Context // of HTTP requests, and of the ends of jobs
	cancelRequests context.CancelCauseFunc

	reloads chan reloadRequest
	queries chan chan statusAnswer
	gone    chan struct{} // closed when Run returns

	mu        sync.Mutex
	running   bool
	listeners []*listener
	servers   []server
	jobs      []*job
	hooks     []hook
}

// New takes over what the process was started with: sockets, the predecessor, the service manager, the signals of options.
// It comes first in main, before anything that opens descriptors or reads the variables of systemd.
//
// From then on the signals of options are caught, and wait for Run.
//
// In a process that was started by a predecessor, which waits for this one to be ready, New, Listen, ListenPacket, HTTP, Hijacked
// and Run tell it of their errors, and [Service.Fail] tells it of others; so the operator learns them from `systemctl reload`.
//
// Variables that cannot be understood give an error that matches [activation.ErrMalformed] or [notify.ErrInvalid]. New must be
// called once in a process.
func New(options Options) (*Service, error) {
	options = options.withDefaults()
	s := &Service{
		options:    options,
		log:        options.Logger,
		generation: 1,
		conns:      newRegistry(),
		signals:    make(chan os.Signal, 16),
		tools:      make(chan os.Signal, 4),
		returned:   make(chan struct{}, 1),
		reloads:    make(chan reloadRequest),
		queries:    make(chan chan statusAnswer),
		gone:       make(chan struct{}),
		leaving:    make(chan struct{}),
		lame:       make(chan struct{}),
		elders:     elders{alone: make(chan struct{})},
		atStep:     func(string) {},
	}
	s.health, s.profiler = newHealth(options.Health), newProfiler(options)
	s.toDrain, s.endWork = context.WithCancelCause(context.Background())
	s.requests, s.cancelRequests = context.WithCancelCause(context.Background())
	notifySignals(s.signals, options.ReloadSignals, options.StopSignals)
	notifySignals(s.tools, options.StackSignals, options.ProfileSignals)
	if err := s.inherit(); err != nil {
		signal.Stop(s.signals)
		signal.Stop(s.tools)
		return nil, s.Fail(err)
	}
	return s, nil
}

func (s *Service) inherit() (err error) {
	if s.program, err = programPath(s.options.Program); err != nil {
		return err
	}
	if s.table, err = activation.Inherit(); err != nil {
		return err
	}
	if ignored := s.table.Ignored(); ignored != nil {
		s.log.Warn("ignored the sockets in the environment", "reason", ignored)
	}
	if conn, pid := s.table.Predecessor(); conn != nil && pid == os.Getpid() { // this process, before its execve
		s.estates = append(s.estates, &estate{conn: handover.NewConn(conn)})
	} else if conn != nil {
		if err := s.meet(handover.NewConn(conn), pid); err != nil {
			return err
		}
	}
	s.meetElders()
	s.findEstates()
	s.notifier, err = notify.New()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.signOfLife, err = s.watchdogInterval()
	return err
}

// meet reads what the predecessor left on the handover socket.
func (s *Service) meet(conn *handover.Conn, pid int) error {
	_ = conn.SetReadDeadline(time.Now().Add(handshakeTimeout))
	m, err := s.readInheritance(conn)
	if err != nil {
		_ = conn.Close()
		return fmt.Errorf("inheritance from process %d: %w", pid, err)
	}
	_ = conn.SetReadDeadline(time.Time{})
	s.generation = m.Generation + 1
	s.handed, s.dryRun = m.Bound, m.DryRun
	s.ancestor = newAncestor(conn, pid, m.Generation)
	return nil
}

func (s *Service) readInheritance(conn *handover.Conn) (handover.Message, error) {
	inheritance, _, err := conn.Receive()
	switch {
	case err != nil:
		return inheritance, err
	case inheritance.Type != handover.Inheritance:
		return inheritance, fmt.Errorf("%w: %q", handover.ErrMalformed, inheritance.Type)
	case inheritance.Compatible() != nil:
		return inheritance, inheritance.Compatible()
	}
	for range inheritance.Count {
		m, fds, err := conn.Receive()
		if err != nil {
			closeDescriptors(fds)
			return inheritance, err
		}
		s.inheritState(m, fds)
	}
	return inheritance, nil
}

// programPath returns the absolute path of the program to start on a reload: the path by which this process was started, to
// be resolved anew each time, since packages replace the file and deployments move a symlink on the way. os.Executable would
// name the old version.
func programPath(program string) (string, error) {
	if program != "" {
		return filepath.Abs(program)
	}
	if path, err := exec.LookPath(os.Args[0]); err == nil {
		return filepath.Abs(path)
	}
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the program to start on a reload: %w", err)
	}
	return path, nil
}

// args are the next process's: by its first one it will find its program, from whatever directory this one works in by then.
func (s *Service) args() []string {
	if s.options.Program != "" {
		return os.Args
	}
	return append([]string{s.program}, os.Args[1:]...)
}

// Generation returns which generation of the service this is, counted from 1. A restart, or a start after a crash, goes on
// counting if the unit has a file descriptor store; else it begins anew.
func (s *Service) Generation() int { return s.generation }

// HTTP has server serve listener from Run on. Of a listener that Listen returned, the plain HTTP/1.1 connections move to the
// successor on a reload, to the server that serves the listener of the same name there. If server.TLSConfig is set it must
// hold a certificate, and the connections are served with TLS; they, like HTTP/2 connections and those of any other listener,
// stay until they have been told to close.
//
// server must not be serving, serves no other listener, and is the Service's from then on: HTTP sets its ConnState, Handler, BaseContext and, unless it is
// set, TLSNextProto to call what it finds there, and neither Shutdown nor Close may be called on it, since both break requests.
// An HTTP/2 of the user's own (a TLSNextProto that is set) is told of the end by Connection: close in its answers.
//
// The contexts of requests are cancelled, with ErrDrainTimeout as their cause, when the drain has taken too long. A hijacked
// connection is the handler's, and counts until it is closed, unless its listener is not one of net's; see [Service.Hijack].
//
// The error matches [ErrNoCertificate] if server.TLSConfig has neither a certificate nor a function that gets one.
func (s *Service) HTTP(listener net.Listener, server *http.Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch t := server.TLSConfig; {
	case s.running:
		return fmt.Errorf("serve HTTP on %s: %w", listener.Addr(), ErrRunning)
	case t != nil && len(t.Certificates) == 0 && t.GetCertificate == nil && t.GetConfigForClient == nil:
		// Serve would say so too late: when this process has taken over.
		return s.Fail(fmt.Errorf("serve HTTP on %s: %w", listener.Addr(), ErrNoCertificate))
	}
	h := newHTTPServer(s, s.nameToMove(listener), listener, server)
	s.servers = append(s.servers, h, h.hijacked)
	return nil
}

func (s *Service) isRunning() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// Fail tells the predecessor, if there is one, why this process is not going to be ready, and returns err; if that is nil it does
// nothing. It comes before Run. The process should then end: the predecessor goes on serving, and `systemctl reload` fails with that
// reason.
func (s *Service) Fail(err error) error {
	if s.ancestor != nil && err != nil {
		_ = s.ancestor.conn.Send(handover.Message{Type: handover.Failed, Reason: err.Error()})
	}
	return err
}

// Reload replaces this process as a reload signal does, and waits until that is done or ctx ends; before Run, it waits for
// that as well. A reload that is under way is waited for and followed by another, which all those asked for meanwhile share,
// since it may have begun too early to see what is new. In place, Reload returns nil when the drain begins: afterwards there
// is nobody to return to.
//
// The error matches [ErrReload] if the successor did not become ready, and then says why; [ErrStopping] if the service is on its
// way out, or has ended; errors.ErrUnsupported where there is no Linux; and that of ctx if it ended first, while a
// reload that has begun goes on.
func (s *Service) Reload(ctx context.Context) error {
	_, err := s.reload(ctx, false)
	return err
}

func (s *Service) reload(ctx context.Context, dryRun bool) (handover.Outcome, error) {
	answer := make(chan handover.Outcome, 1)
	select {
	case s.reloads <- reloadRequest{answer: func(o handover.Outcome) { answer <- o }, dryRun: dryRun}:
	case <-s.gone:
		return handover.Outcome{}, ErrStopping
	case <-ctx.Done():
		return handover.Outcome{}, ctx.Err()
	}
	select {
	case o := <-answer:
		return o, outcomeError(o)
	case <-s.gone:
		return handover.Outcome{}, ErrStopping
	case <-ctx.Done():
		return handover.Outcome{}, ctx.Err()
	}
}

func outcomeError(o handover.Outcome) error {
	switch o.Reason {
	case "":
		return nil
	case ErrStopping.Error():
		return ErrStopping
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("%w: %s: %w", ErrReload, o.Reason, errors.ErrUnsupported)
	}
	return fmt.Errorf("%w: %s", ErrReload, o.Reason)
}
