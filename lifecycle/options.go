package lifecycle

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Options says how a Service behaves. The zero value is a good choice for a daemon under systemd and in a terminal.
type Options struct {
	// Name names the service in messages and its control socket. The default is the base name
	// of os.Args[0]. A program that is installed under several names should set it.
	Name string

	// Version is told in the status, so that an operator sees which version serves. It may be
	// empty.
	Version string

	// Logger is told what the service does. The default is silence.
	Logger hclog.Logger

	// Program is the path of the program to start on a reload. The default is os.Args[0] as
	// systemd or a shell gave it, made absolute when the process starts. Either is resolved
	// anew on each reload.
	Program string

	// ReloadSignals ask for a reload. Nil means SIGHUP and SIGUSR2, less those that another
	// list names; an empty list none.
	ReloadSignals []os.Signal

	// StopSignals ask the service to drain and end; a second one to end now. Nil means SIGTERM
	// and SIGINT; an empty list none.
	StopSignals []os.Signal

	// StackSignals have the stacks of all goroutines written to Logger, at level Info. Nil
	// means SIGUSR1, unless another list names it; an empty list none.
	StackSignals []os.Signal

	// ProfileSignals start a CPU profile, and the next time stop it and write a heap profile
	// beside it; `go tool pprof` reads both. The default is none. With SIGUSR2 in this list,
	// nil ReloadSignals are SIGHUP alone.
	//
	// A profile that runs when this process begins to drain, to end or to be replaced, is
	// stopped and written then. One that cannot be written, or that the program itself has
	// already started, is an error in the log and nothing else.
	ProfileSignals []os.Signal

	// ProfileDirectory is where profiles are written, as NAME-PID-TIME.cpu.pprof and
	// NAME-PID-TIME.heap.pprof, for the user of the service alone; the log names them. TIME is
	// UTC. The default is os.TempDir(), which with PrivateTmp= is the unit's own and goes with
	// it.
	ProfileDirectory string

	// Health says whether the process is well: nil, or why it is not. The default is that it
	// always is.
	//
	// Under a service manager whose unit has WatchdogSec= it is called twice in that time, from
	// when this is the main process until it drains, and as long as it returns nil the manager
	// is told WATCHDOG=1. A failing process is killed and restarted (Restart=) when
	// WatchdogSec= is over without a nil. A change for the worse or the better is logged. An
	// error that matches ErrDead has that done at once. While the process drains WATCHDOG=1 is
	// told all the same, since the drain has an end of its own, which a kill would only make
	// worse.
	//
	// Service.Liveness calls it too, and a successor calls it once before it says that it is
	// ready: if it is not well the reload fails with that error, and the predecessor serves on.
	// At that time nothing is served yet, so a check must not ask its own listeners. The first
	// process of a service is not held up by it.
	//
	// ctx ends after half of WatchdogSec=, one second, or half of ReloadTimeout, in that order.
	// A check that goes on counts as failed then; it is not called anew until it has returned.
	// A panic is an error.
	Health func(ctx context.Context) error

	// Replace says how a reload replaces the process.
	Replace Replacement

	// DryRun has a reload in place begin with a dry run, as `PROGRAM reload -dry-run` asks for
	// one: the next process is started beside this one, handed all that it would be handed
	// there, and killed when it is ready. If it does not become ready the reload fails, and
	// nothing else has happened. So a program that starts and then fails is found out in time.
	// It must not be set for a program that cannot start while another runs, or that takes
	// something for good from what it is handed, as by reading from a pipe. Beside needs none.
	DryRun bool

	// ReloadTimeout is how long a successor may take to be ready. The default is 10 seconds.
	// Under systemd it must be well below the unit's TimeoutStartSec, which bounds reloads as
	// well: systemd 252 and 257 let a timed out reload go on for seconds, and then the unit is
	// in disorder.
	ReloadTimeout time.Duration

	// DrainTimeout is how long this process may take to finish what it has begun, once it has
	// handed over or was told to stop. Then the stacks of what still runs are logged, contexts
	// are cancelled, and up to half a second later connections are closed.
	//
	// The default is the unit's own TimeoutStopSec=, as it is when the drain begins, less a
	// tenth (at least half a second, and at most two, but never more than a third of it), so
	// that systemd never has to kill. It is asked of the service manager, or read from the unit
	// file; HEIRLOOM_STOP_TIMEOUT tells it where a sandbox forbids both. Without a unit it is
	// 90 seconds, systemd's default.
	DrainTimeout time.Duration

	// StopExtension is how much longer than the unit's TimeoutStopSec= a stop may take while
	// there is something to wait for: systemd is then asked for more time, some at a time
	// (EXTEND_TIMEOUT_USEC=). The default is none. It does nothing if DrainTimeout is set.
	StopExtension time.Duration

	// LameDuck is how long a service that was told to stop goes on accepting, while Readiness
	// and Status say that it is about to leave, so that a load balancer can send its clients
	// elsewhere. It takes half of the time that the drain may take at most. The default is
	// none. A service that is replaced is no lame duck.
	LameDuck time.Duration

	// Linger is how long a connection that cannot move is kept, though idle, for a next
	// request, which is answered with Connection: close. The default is one second.
	Linger time.Duration

	// MaxPredecessors is how many generations may drain at a time. If there are more, the
	// oldest is given five seconds to finish. The default is 64.
	MaxPredecessors int

	// ControlSocket is the path of the Unix socket on which the service answers Command. The
	// default is control in the unit's RuntimeDirectory (RUNTIME_DIRECTORY), else NAME/control
	// in XDG_RUNTIME_DIR, else for root in /run, else NAME-UID/control in os.TempDir(); if none
	// can be bound the service does without. A path that was set and cannot be bound is an
	// error of Run. The directory must exist, except for the last three.
	ControlSocket string
}

// A Replacement is a way to replace the process on a reload.
type Replacement int

const (
	// Automatic is Beside where a service manager can be told of another main process: under
	// systemd, that is with NOTIFY_SOCKET, and not as PID 1. Everywhere else it is InPlace:
	// somebody waits for this very process to end, be it a shell, a container engine or a
	// supervisor.
	Automatic Replacement = iota

	// Beside starts the successor beside this process, which serves on until the successor is
	// ready, and goes on if it does not become ready.
	Beside

	// InPlace finishes what was begun and then replaces the program in this process
	// (execve(2)). Clients wait meanwhile: the next requests of open connections, and new
	// connections, are answered by the new program. The new program is made sure to exist and
	// to be executable before, but one that then fails to start cannot be undone. Under
	// systemd, which bounds a reload by TimeoutStartSec, DrainTimeout must be below that.
	InPlace
)

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = filepath.Base(os.Args[0])
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	o = o.withSignals()
	setDefault(&o.ReloadTimeout, 10*time.Second)
	setDefault(&o.Linger, time.Second)
	setDefault(&o.MaxPredecessors, 64)
	return o
}

func setDefault[T int | time.Duration](value *T, fallback T) {
	if *value == 0 {
		*value = fallback
	}
}
