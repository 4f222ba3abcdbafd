package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// ErrInvalid is matched by every error for a mistake in the protocol by the
// caller or the environment: a value that the manager would drop or misread, an
// invalid address, a malformed variable. Nothing was sent.
var ErrInvalid = errors.New("notify: invalid")

// SendTimeout is how long one message waits for room in the manager's queue.
// After that the error matches os.ErrDeadlineExceeded.
//
// All services share one queue. It holds a few hundred messages
// (net.unix.max_dgram_qlen), and the manager does not read it while it reloads
// its units. sd_notify(3) waits without end there, so half a minute of silence
// from PID 1 would stop a daemon that waits in this way. A daemon that does not
// wait at all loses its READY=1. Hence a wait with an end.
const SendTimeout = 10 * time.Second

// A Notifier sends notifications to one service manager. It holds one socket
// for the life of the process.
//
// A nil *Notifier is for processes without a manager: every method does nothing
// and returns nil.
//
// Goroutines may share a Notifier. Messages go out one at a time, each from the
// same reused buffer. While one message waits for room in the manager's queue
// the others wait behind it, so their order is the order of the calls.
type Notifier struct {
	address string

	// turn has one place. The goroutine that has filled it is sending, and
	// owns the fields below. It is a mutex in all but type: the context of
	// Barrier could not end a wait for a sync.Mutex.
	turn    chan struct{}
	link    *link // nil once closed
	message message
}

// New opens the socket that $NOTIFY_SOCKET names. It leaves the variable in
// place, because a successor started with this process's environment needs it.
//
// If the variable is unset or empty there is no manager. New then returns a nil
// *Notifier, which is safe to use, and an error that matches os.ErrNotExist.
// All other errors are those of Dial, and name the variable.
func New() (*Notifier, error) {
	value := os.Getenv("NOTIFY_SOCKET")
	if value == "" {
		return nil, fmt.Errorf("notify: NOTIFY_SOCKET is not set: %w", os.ErrNotExist)
	}
	n, err := Dial(value)
	if err != nil {
		return nil, fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	return n, nil
}

// Dial opens a socket for messages to address, written as in $NOTIFY_SOCKET:
//
//	/run/systemd/notify   a socket in the file system, up to 107 bytes
//	@name                 a socket in Linux's abstract namespace, up to 107 bytes
//	vsock:CID:PORT        a socket of the host of this virtual machine, see vsock(7); the CID may be
//	                      written hypervisor, local or host. Datagrams if the kernel has them,
//	                      otherwise one connection per message.
//	vsock-dgram:CID:PORT, vsock-seqpacket:CID:PORT, vsock-stream:CID:PORT
//	                      the same with the socket type fixed
//
// An address of any other form gives an error that matches ErrInvalid. Dial
// does not check for a receiver: if there is none, each Notify returns an
// error, since a manager may come back. The caller closes the Notifier.
func Dial(address string) (*Notifier, error) {
	return dial(address, SendTimeout)
}

func dial(address string, patience time.Duration) (*Notifier, error) {
	peer, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	link, err := openLink(peer, patience)
	if err != nil {
		return nil, fmt.Errorf("notify: open socket for %s: %w", address, err)
	}
	return &Notifier{address: address, turn: make(chan struct{}, 1), link: link}, nil
}

// Notify sends the states as one message, in the order given. Without states it
// does nothing.
//
// Notify never refuses a message for the text of its Status.
//
// Notify makes one system call (and one to read the clock for Reloading), and
// allocates no memory unless there are descriptors. If the manager's queue is
// full it waits, up to SendTimeout.
//
// Errors match ErrInvalid if the states break the protocol,
// os.ErrDeadlineExceeded if the queue stayed full, os.ErrClosed after Close,
// and otherwise the error number of the system call: syscall.ECONNREFUSED or
// syscall.ENOENT if there is no receiver. On any error nothing was sent (over a
// vsock connection this cannot be known), and the next call may succeed.
func (n *Notifier) Notify(states ...State) error {
	if n == nil || len(states) == 0 {
		return nil
	}
	if err := n.takeTurn(context.Background()); err != nil {
		return err
	}
	defer n.endTurn()
	for i := range states {
		if err := n.message.add(&states[i]); err != nil {
			return err
		}
	}
	n.message.fit()
	if err := n.message.check(); err != nil {
		return err
	}
	return n.send(context.Background())
}

// Barrier waits until the manager has read every message that this process sent
// before. It does not say whether the manager accepted them, and a manager that
// dies also ends the wait.
//
// It sends BARRIER=1 with the writing end of a pipe, which the manager closes
// when it reads the message (systemd 246). An older manager closes it as well,
// as it does with any descriptor it did not ask for. If ctx ends first, the
// error matches ctx.Err(), and it is unknown whether the manager has read
// anything. Other errors are those of Notify. Over vsock, which carries no
// descriptors, the error matches errors.ErrUnsupported. Barrier leaves no
// descriptor open.
func (n *Notifier) Barrier(ctx context.Context) error {
	if n == nil {
		return nil
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("notify: open barrier: %w", err)
	}
	defer reader.Close()
	err = n.sendBarrier(ctx, writer)
	// The manager's copy must be the last one, or its close is not seen.
	_ = writer.Close()
	if err != nil {
		return err
	}
	if err := waitEOF(ctx, reader); err != nil {
		return fmt.Errorf("notify: wait for barrier: %w", err)
	}
	return nil
}

// Close closes the socket, after the message that is being sent, if any. Later
// calls of Notify and Barrier return an error that matches os.ErrClosed. A
// second Close does nothing and returns nil. Close does not wait for the
// manager to read anything: see Barrier.
func (n *Notifier) Close() error {
	if n == nil || n.takeTurn(context.Background()) != nil {
		return nil
	}
	defer n.endTurn()
	link := n.link
	n.link = nil
	return link.close()
}

// takeTurn waits until this goroutine alone may use the link and the message.
// It fails when ctx ends or n is closed.
func (n *Notifier) takeTurn(ctx context.Context) error {
	select {
	case n.turn <- struct{}{}:
	case <-ctx.Done():
		return n.sendError(ctx.Err())
	}
	if n.link == nil {
		n.endTurn()
		return n.sendError(os.ErrClosed)
	}
	return nil
}

func (n *Notifier) endTurn() {
	n.message.reset()
	<-n.turn
}

func (n *Notifier) sendBarrier(ctx context.Context, writer *os.File) error {
	// If several cases are ready a select takes any of them, so an ended
	// context would sometimes send.
	if err := ctx.Err(); err != nil {
		return n.sendError(err)
	}
	if err := n.takeTurn(ctx); err != nil {
		return err
	}
	defer n.endTurn()
	n.message.barrier(writer)
	return n.send(ctx)
}

// send sends n.message. The caller has the turn.
func (n *Notifier) send(ctx context.Context) error {
	m := &n.message
	var err error
	if len(m.conns) > 0 {
		err = withDescriptors(m.conns, nil, func(fds []int) error { return n.link.send(ctx, m.text, fds) })
	} else {
		err = n.link.send(ctx, m.text, m.fds)
	}
	if err != nil {
		return n.sendError(err)
	}
	return nil
}

func (n *Notifier) sendError(err error) error {
	return fmt.Errorf("notify: send to %s: %w", n.address, err)
}

// withDescriptors calls do with fds and the descriptors of conns. It goes one
// call deeper for each conn, because only inside Control is a descriptor
// certain to stay open, and its number not to be reused.
func withDescriptors(conns []syscall.Conn, fds []int, do func(fds []int) error) error {
	if len(conns) == 0 {
		return do(fds)
	}
	var done error
	raw, err := conns[0].SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			done = withDescriptors(conns[1:], append(fds, int(fd)), do)
		})
	}
	if err != nil {
		return fmt.Errorf("%w: attached descriptor: %w", ErrInvalid, err)
	}
	return done
}

// waitEOF waits until no process has the other end of r open.
func waitEOF(ctx context.Context, r *os.File) error {
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := io.Copy(io.Discard, r)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ctx.Err()
	}
	return err
}
