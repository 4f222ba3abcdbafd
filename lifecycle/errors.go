package lifecycle

import (
	"errors"

	"github.com/heirloom-go/heirloom/internal/certificate"
	"github.com/heirloom-go/heirloom/internal/control"
	"github.com/heirloom-go/heirloom/internal/framework"
	"github.com/heirloom-go/heirloom/internal/health"
	"github.com/heirloom-go/heirloom/internal/streams"
)

var (
	// ErrReload is matched by the error of a reload that failed. The service
	// goes on as if it had not been asked.
	ErrReload = control.ErrReload
	// ErrStopping is matched by the error of a reload that was asked of a
	// service on its way out, and is the cause of the context of a worker that
	// is to end with the service.
	ErrStopping = control.ErrStopping
	// ErrReplaced is the cause of the context of a worker that is to end
	// because another process takes its place.
	ErrReplaced = errors.New("the service goes on in another process")
	// ErrDrainTimeout is matched by the error of a Run that had to cut work, or
	// to leave a hook behind, because its drain did not end in time, and is the
	// cause of the contexts of requests that were cancelled for it. That
	// clients kept it waiting is no such error.
	ErrDrainTimeout = errors.New("drain timed out")
	// ErrDead is to be matched by the error of an Options.Health that finds the
	// process beyond help: a service manager is then told to kill and restart
	// it at once, whether or not its unit has WatchdogSec=. Restart= must allow
	// that (on-failure, on-abnormal, on-watchdog or always), and requests under
	// way are lost.
	ErrDead = health.ErrDead
	// ErrReserved is matched by the errors of Listen, ListenPacket and
	// PassState for a name that heirloom itself uses: heirloom,
	// heirloom-control, heirloom-ledger, heirloom-older-generations, and
	// heirloom with the number of a generation.
	ErrReserved = errors.New("the name is heirloom's own")
	// ErrNoCertificate is matched by the errors of HTTP, for a server whose
	// TLSConfig cannot serve anybody, and of ServeStreamsTLS for such a
	// configuration.
	ErrNoCertificate = certificate.ErrNone
	// ErrCertificate is matched by the error of HTTPS and ListenAndServeTLS for
	// a certificate or key that cannot be read, or do not fit together.
	ErrCertificate = certificate.ErrUnusable
	// ErrServerInUse is matched by the errors of HTTP and HTTPBy for an
	// http.Server that one of them was given before, for another listener.
	ErrServerInUse = errors.New("the http.Server serves another listener")
	// ErrOtherServer is matched by the error of Run for a function of HTTPBy
	// that has something else accept from its listener than the http.Server, by
	// its Serve or ServeTLS.
	ErrOtherServer = framework.ErrOther
	// ErrRunning is matched by the errors of Run, and of the methods that must
	// come before it, when Run was called before.
	ErrRunning = errors.New("the service runs already")
	// ErrDraining is returned by the Read of a Stream that is to leave this
	// process, and matched by that of what ListenPacket returned. Not a byte is
	// lost by it: what the client sends is left to the next process, or reader.
	ErrDraining = streams.ErrDraining
	// ErrNoSuccessor is matched by the error of HandOver when no process comes
	// after this one, or none that serves the listener. The connection is the
	// handler's still, to say goodbye and close.
	ErrNoSuccessor = streams.ErrNoSuccessor
	// ErrUnread is matched by the error of HandOver for a connection of which
	// the client has sent bytes that would be lost: with the request of one that
	// was hijacked, which Read returns also when the connection is to leave, or
	// half a record of TLS, the rest of which does not come.
	ErrUnread = streams.ErrUnread
	// ErrTooLarge is matched by the error for a PassedState, or a Stream's
	// state, that is larger than it may be.
	ErrTooLarge = streams.ErrTooLarge
	// ErrUsage is matched by the error of Command for arguments that it does
	// not know.
	ErrUsage = control.ErrUsage
	// ErrNotRunning is matched by the error of Command when no service answers
	// on the control socket.
	ErrNotRunning = control.ErrNotRunning
	// ErrSeveral is matched by the error of Command when more than one running
	// service could be meant, such as instances of a template unit. It names
	// them.
	ErrSeveral = control.ErrSeveral
	// ErrUnresponsive is matched by the error of Command when a service is
	// there but does not answer: it hangs, or was stopped (SIGSTOP).
	ErrUnresponsive = control.ErrUnresponsive
)
