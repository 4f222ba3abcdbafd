package lifecycle

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/signals"
)

// Options says how a Service behaves. The zero value is a good choice for a
// daemon under systemd and in a terminal.
type Options struct {
	// Name names the service in messages and its control socket. The default is
	// the base name of os.Args[0]. A program that is installed under several
	// names should set it.
	Name string

	// Version appears in the status, so that an operator sees which version
	// serves. It may be empty.
	Version string

	// Logger logs what the service does. The default is silence, and in Main
	// standard error. FromSlog makes one of a *slog.Logger. The service does
	// not wait for a log that is not read: it queues 256 lines, drops
	// lines that do not fit, and logs how many were dropped when the log is
	// read again.
	Logger hclog.Logger

	// Program is the path of the program to start on a reload. The default is
	// os.Args[0] as systemd or a shell gave it, made absolute when the process
	// starts. Either is resolved again on each reload.
	Program string

	// ReloadSignals ask for a reload. Nil means SIGHUP and SIGUSR2, less those
	// that another list names; an empty list means none.
	ReloadSignals []os.Signal

	// StopSignals ask the service to drain and end; a second one to end now.
	// Nil means SIGTERM and SIGINT; an empty list means none.
	StopSignals []os.Signal

	// StackSignals write the stacks of all goroutines to Logger, at level Info.
	// Nil means SIGUSR1, unless another list names it; an empty list means none.
	StackSignals []os.Signal

	// ProfileSignals start a CPU profile, and the next time stop it and write a
	// heap profile beside it; `go tool pprof` reads both. The default is none.
	// With SIGUSR2 in this list, nil ReloadSignals are SIGHUP alone.
	//
	// A profile that runs when this process begins to drain, to end or to be
	// replaced, is stopped and written then. One that cannot be written, or
	// that the program itself has already started, is an error in the log and
	// nothing else.
	ProfileSignals []os.Signal

	// ProfileDirectory is where profiles are written, as
	// NAME-PID-TIME.cpu.pprof and NAME-PID-TIME.heap.pprof, for the user of the
	// service alone; the log names them. TIME is UTC. The default is
	// os.TempDir(), which with PrivateTmp= is the unit's own and goes with it.
	ProfileDirectory string

	// Health says whether the process is well: nil, or why it is not. The
	// default is that it always is.
	//
	// Under a service manager whose unit has WatchdogSec= it is called twice in
	// that time, and more often after an error, from when this is the main
	// process until it drains, and as long as it returns nil the manager is
	// told WATCHDOG=1. A failing process is killed and restarted (Restart=)
	// when WatchdogSec= is over without a nil. A change for the worse or the
	// better is logged. An error that matches ErrDead has that done at once.
	// While the process drains WATCHDOG=1 is told all the same, since the drain
	// has an end of its own, which a kill would only make worse.
	//
	// Service.Liveness calls it too, and a successor calls it once before it
	// says that it is ready: if it is not well the reload fails with that
	// error, and the predecessor serves on. At that time nothing is served yet,
	// so a check must not ask its own listeners. The first process of a service
	// is not held up by it.
	//
	// A check may take half of WatchdogSec=, one second, or half of
	// ReloadTimeout, in that order, and counts as failed to whoever has waited
	// for so long. ctx ends when the check has taken as long as the most patient
	// of those who wait for it would wait, and has no Deadline, since a more
	// patient one may come. The check is not called again until it has returned.
	// A panic is an error.
	Health func(ctx context.Context) error

	// ReloadMode says how a reload replaces the process.
	ReloadMode ReloadMode

	// DryRun makes a reload in place start with a dry run, as `PROGRAM reload
	// -dry-run` does. The next process is started alongside this one, gets all
	// that it would get in a reload, and is killed when it is ready. If it does
	// not become ready the reload fails, and nothing else has happened. So a
	// program that starts and then fails is found in time.
	//
	// Do not set it for a program that cannot start while another runs, or that
	// uses up something it is handed, as by reading from a pipe. NewProcess
	// needs no dry run.
	DryRun bool

	// ReloadTimeout is how long a successor may take to be ready. The default
	// is 10 seconds. Under systemd it must be well below the unit's
	// TimeoutStartSec, which bounds reloads as well: systemd 252 and 257 let a
	// timed out reload go on for seconds, and then the unit is in disorder.
	ReloadTimeout time.Duration

	// DrainTimeout is how long this process may take to finish the requests in
	// flight, once it has handed over or was told to stop. At the deadline the
	// stacks of the goroutines that still run are logged, and contexts are
	// cancelled. Up to half a second later connections are closed.
	//
	// The default is the unit's own TimeoutStopSec=, as it is when the drain
	// starts, less a margin, so that systemd never has to kill. The margin is a
	// tenth, at least half a second and at most two, but never more than a
	// third. heirloom asks the service manager for the time, or reads the unit
	// file. HEIRLOOM_STOP_TIMEOUT gives it where a sandbox forbids both.
	// Without a unit it is 90 seconds, systemd's default.
	DrainTimeout time.Duration

	// StopExtension is how much longer than the unit's TimeoutStopSec= a stop
	// may take while the drain still waits for something. systemd is then asked
	// for more time, some at a time (EXTEND_TIMEOUT_USEC=). The default is
	// none. It does nothing if DrainTimeout is set.
	StopExtension time.Duration

	// LameDuck is how long a service that was told to stop goes on accepting,
	// while Readiness and Status say that it is about to leave, so that a load
	// balancer can send its clients elsewhere. It takes at most half of the
	// time that the drain may take. The default is none. A service that is
	// replaced is not a lame duck.
	LameDuck time.Duration

	// Linger is how long a connection that cannot move is kept while idle, for
	// a next request, whose response says Connection: close. It starts with the
	// drain, or with the end of a request that was under way then and whose
	// response did not say so. A client that has still to start its TLS
	// handshake, or is in it, has five seconds for each step. The default is
	// one second.
	Linger time.Duration

	// MoveTLS has the connections of HTTP with TLSConfig move to the next
	// process as plain ones do, by a reload, a restart or in place: those of
	// HTTP/1.1 over TLS 1.3, with the state of their session. All others, of
	// TLS 1.2 and of HTTP/2, are told to close as without it, and so are those
	// that a process in FIPS 140 mode has, or that what the program has put
	// around a listener does not let go (see Service.Listen). Status.TLS counts
	// them.
	//
	// Connections that were hijacked from them (Service.Hijack), and those of
	// ServeStreamsTLS, may then be handed over by their handlers.
	//
	// It is off by default, since net/http then sees connections that are not
	// a *tls.Conn: a handler that hijacks one, ConnContext or ConnState, and
	// asserts that type, fails. Request.TLS is as ever, but that after a move
	// its ExportKeyingMaterial returns an error. The handshake comes before
	// http.StateNew, and its callbacks find nothing of ConnContext in
	// ClientHelloInfo.Context.
	//
	// The next process decides again, by its own TLSConfig, whether it accepts a
	// session: version, key exchange, protocol, the client's certificate by
	// ClientCAs, VerifyPeerCertificate and VerifyConnection. One that it would
	// not is closed, and so is one of which a function of TLSConfig panics, or
	// does not return in the time that the http.Server has for a handshake, or
	// in ten seconds if it has no such limit. A certificate of the server that
	// was renewed does not matter.
	//
	// The keys of a session then travel with its connection, through the
	// handover socket: over a restart the kernel and the service manager hold
	// them. docs/internals.md says who could read them, and when not to set
	// this.
	MoveTLS bool

	// MaxPredecessors is how many generations may drain at a time. If there are
	// more, the oldest has five seconds to finish. The default is 64.
	MaxPredecessors int

	// ControlSocket is the path of the Unix socket on which the service answers
	// Command. The default is control in the unit's RuntimeDirectory
	// (RUNTIME_DIRECTORY), else NAME/control in XDG_RUNTIME_DIR, else for root
	// in /run, else NAME-UID/control in os.TempDir(); if none can be bound the
	// service does without, and warns. A path that was set and cannot be bound
	// is an error of Run. The directory must exist, except for the last three:
	// these are made, and used only if no other user can write to them or move
	// them away.
	ControlSocket string
}

// A ReloadMode is a way to replace the process on a reload.
type ReloadMode int

const (
	// Auto is NewProcess where the service manager is known to follow another
	// main process (MAINPID=). Otherwise it is Exec: a shell, a container
	// engine or a supervisor waits for this very process to end.
	//
	// NOTIFY_SOCKET alone does not say so, since other programs read READY=1
	// there and ignore MAINPID=. Systemd is recognised by SYSTEMD_EXEC_PID,
	// which is the pid of the process that it started itself (since 248), or,
	// below a wrapper, by asking it. PID 1 is always replaced in place: its
	// namespace ends with it. The log says why at the start.
	Auto ReloadMode = iota

	// NewProcess starts the successor alongside this process, which serves
	// until the successor is ready, and goes on if it does not become ready.
	//
	// As PID 1, and where NOTIFY_SOCKET is set and the listener there is not
	// known to follow another main process, a reload fails and says why. It
	// would end in a second copy of the service, or in none. Without
	// NOTIFY_SOCKET heirloom notifies no service manager, and the caller has to
	// know that none waits for this process.
	NewProcess

	// Exec finishes the requests in flight and then replaces the program in
	// this process (execve(2)). Clients wait while it does: the new program
	// answers the next requests of open connections, and new connections.
	// heirloom checks first that the new program exists and is executable, but
	// one that then fails to start cannot be undone. Under systemd, which
	// bounds a reload by TimeoutStartSec, DrainTimeout must be below that.
	Exec
)

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = filepath.Base(os.Args[0])
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	m := o.signals().WithDefaults()
	o.ReloadSignals, o.StopSignals, o.StackSignals = m.Reload, m.Stop, m.Stacks
	setDefault(&o.ReloadTimeout, 10*time.Second)
	setDefault(&o.Linger, time.Second)
	setDefault(&o.MaxPredecessors, 64)
	return o
}

func (o Options) signals() signals.Meanings {
	return signals.Meanings{Reload: o.ReloadSignals, Stop: o.StopSignals, Stacks: o.StackSignals, Profiles: o.ProfileSignals}
}

func setDefault[T int | time.Duration](value *T, fallback T) {
	if *value == 0 {
		*value = fallback
	}
}
