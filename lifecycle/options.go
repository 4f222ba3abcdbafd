package lifecycle

import (
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Options says how a Service behaves. The zero value is a good choice for a daemon under systemd and in a terminal.
type Options struct {
	// Name names the service in messages and its control socket. The default is the base name of os.Args[0]. A program
	// that is installed under several names should set it.
	Name string

	// Version is told in the status, so that an operator sees which version serves. It may be empty.
	Version string

	// Logger is told what the service does. The default is silence.
	Logger hclog.Logger

	// Program is the path of the program to start on a reload. The default is os.Args[0] as systemd or a shell gave it,
	// made absolute when the process starts. Either is resolved anew on each reload.
	Program string

	// ReloadSignals ask for a reload. Nil means SIGHUP and SIGUSR2; an empty list none.
	ReloadSignals []os.Signal

	// StopSignals ask the service to drain and end; a second one to end now. Nil means SIGTERM and SIGINT; an empty list
	// none.
	StopSignals []os.Signal

	// Replace says how a reload replaces the process.
	Replace Replacement

	// ReloadTimeout is how long a successor may take to be ready. The default is 10 seconds. Under systemd it must be well
	// below the unit's TimeoutStartSec, which bounds reloads as well: systemd 252 and 257 let a timed out reload go on for
	// seconds, and then the unit is in disorder.
	ReloadTimeout time.Duration

	// DrainTimeout is how long this process may take to finish what it has begun, once it has handed over or was told to
	// stop; what is left is closed then. The default is 90 seconds, systemd's own. Under systemd it should be below the
	// unit's TimeoutStopSec.
	DrainTimeout time.Duration

	// Linger is how long a connection that cannot move is kept, though idle, for a next request, which is answered with
	// Connection: close. The default is one second.
	Linger time.Duration

	// MaxPredecessors is how many generations may drain at a time. If there are more, the oldest is given five seconds to
	// finish. The default is 64.
	MaxPredecessors int

	// ControlSocket is the path of the Unix socket on which the service answers Command. The default is control in the
	// unit's RuntimeDirectory (RUNTIME_DIRECTORY), else NAME/control in XDG_RUNTIME_DIR, else for root in /run, else
	// NAME-UID/control in os.TempDir(); if none can be bound the service does without. A path that was set and cannot be
	// bound is an error of Run. The directory must exist, except for the last three.
	ControlSocket string
}

// A Replacement is a way to replace the process on a reload.
type Replacement int

const (
	// Automatic is Beside where a service manager can be told of another main process: under systemd, that is with
	// NOTIFY_SOCKET, and not as PID 1. Everywhere else it is InPlace: somebody waits for this very process to end, be it a shell,
	// a container engine or a supervisor.
	Automatic Replacement = iota

	// Beside starts the successor beside this process, which serves on until the successor is ready, and goes on if it does
	// not become ready.
	Beside

	// InPlace finishes what was begun and then replaces the program in this process (execve(2)). Clients wait meanwhile: the
	// next requests of open connections, and new connections, are answered by the new program. The new program is made sure
	// to exist and to be executable before, but one that then fails to start cannot be undone. Under systemd, which bounds a
	// reload by TimeoutStartSec, DrainTimeout must be below that.
	InPlace
)

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = filepath.Base(os.Args[0])
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.ReloadSignals == nil {
		o.ReloadSignals = defaultReloadSignals
	}
	if o.StopSignals == nil {
		o.StopSignals = defaultStopSignals
	}
	setDefault(&o.ReloadTimeout, 10*time.Second)
	setDefault(&o.DrainTimeout, 90*time.Second)
	setDefault(&o.Linger, time.Second)
	setDefault(&o.MaxPredecessors, 64)
	return o
}

func setDefault[T int | time.Duration](value *T, fallback T) {
	if *value == 0 {
		*value = fallback
	}
}
