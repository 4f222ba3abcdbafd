package callback

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// errGoexit is the error of a function that ended its goroutine.
var errGoexit = errors.New("it ended its goroutine (runtime.Goexit)")

// Call calls a function of the program in a goroutine of its own, and then done
// there, with its error. A panic is an error like any other to done: its stack
// goes to the log alone, so that the error fits into a status line. what names
// the function in the log.
func Call(log hclog.Logger, what string, f func() error, done func(error)) {
	go func() {
		err := errGoexit
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panic: %v", r)
				LogPanic(log, what, r)
			}
			done(err)
		}()
		err = f()
	}()
}

// LogPanic logs what was recovered, from the deferred function that did.
func LogPanic(log hclog.Logger, what string, recovered any) {
	stack := strings.ReplaceAll(string(debug.Stack()), "\t", "    ") // hclog writes a tab as \t
	log.Error("panic in a function of the program", "function", what, "panic", fmt.Sprint(recovered), "stack", stack)
}

// Close closes a listener or connection and then calls closed. It does not wait
// for one of the program's own making, or of crypto/tls, which says goodbye to
// a client that may not listen. A connection that the program has told to linger
// does not: nobody would be told whether its client has got everything.
func Close(log hclog.Logger, c io.Closer, closed func()) {
	if closesAtOnce(c) {
		stopLingering(c)
		_ = c.Close()
		closed()
		return
	}
	Call(log, fmt.Sprintf("Close of %T", c), func() error {
		stopLingering(c)
		return c.Close()
	}, func(error) { closed() })
}

func closesAtOnce(c io.Closer) bool {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn, *net.TCPListener, *net.UnixListener, *conntrack.MovedListener:
		return true
	}
	return false
}

// stopLingering leaves one alone that was passed on: it may go on in another
// process, which has the same options of it.
func stopLingering(c io.Closer) {
	if passed, ok := c.(interface{ IsPassed() bool }); ok && passed.IsPassed() {
		return
	}
	if nc, ok := c.(net.Conn); ok {
		fdutil.StopLingering(conntrack.SocketOf(nc))
	}
}
