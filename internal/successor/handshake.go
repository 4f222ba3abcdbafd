package successor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/printable"
	"github.com/heirloom-go/heirloom/internal/process"
)

// handshake waits until the successor is ready, lets it accept connections, and
// waits until it does.
//
// It accepts none before: a successor that dies on the way must not take a
// connection with it. In a dry run it never does.
func (c Config) handshake(ctx context.Context, conn *handover.Conn, p *process.Process) (handover.Message, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(past) })
	defer stop()
	ready, err := await(ctx, conn, handover.Ready)
	if err == nil {
		c.AtStep("ready")
		if !stop() { // the time was over just now
			return ready, context.Cause(ctx)
		}
		if !c.Hello.DryRun {
			err = c.allowAccept(ctx, conn)
		}
	}
	if errors.Is(err, io.EOF) {
		return ready, c.exitReason(p)
	}
	return ready, err
}

// allowAccept lets the successor accept connections, and waits until it does.
// Called off now, it would take with it what it has accepted and read. So it
// gets some more time when ctx ends, to say that it serves.
func (c Config) allowAccept(ctx context.Context, conn *handover.Conn) error {
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(over)
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	})
	err := conn.TrySend(handover.Message{Type: handover.Go}) // it has read what came before, or it is stuck
	if err == nil {
		c.AtStep("go")
		_, err = await(ctx, conn, handover.Serving)
	}
	if !stop() {
		<-over
		_ = conn.SetReadDeadline(time.Time{})
	}
	return err
}

// await receives until a message of type want comes.
func await(ctx context.Context, conn *handover.Conn, want handover.Type) (handover.Message, error) {
	for {
		m, fds, err := conn.Receive()
		fdutil.CloseAll(fds)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
			return m, context.Cause(ctx)
		case err != nil:
			return m, err
		case m.Type == handover.Failed:
			return m, errors.New(printable.Text(m.Reason))
		case m.Type == want && want == handover.Ready && m.Protocol < handover.MinProtocol:
			return m, fmt.Errorf("the successor speaks handover protocol %d, this process %d and newer", m.Protocol, handover.MinProtocol)
		case m.Type == want:
			return m, nil
		}
	}
}

// exitReason says how a successor ended that closed the handover socket.
func (c Config) exitReason(p *process.Process) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	how, err := p.Wait(ctx)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s closed the handover socket: it is not a heirloom program, or has not called lifecycle.New", c.Program)
	case how != "":
		return fmt.Errorf("the successor (pid %d) ended before it was ready: %s", p.PID, how)
	case os.Getenv("JOURNAL_STREAM") != "": // systemd.exec(5): standard output or error goes there
		return fmt.Errorf("the successor (pid %d) ended before it was ready; see journalctl _PID=%d", p.PID, p.PID)
	default:
		return fmt.Errorf("the successor (pid %d) ended before it was ready", p.PID)
	}
}
