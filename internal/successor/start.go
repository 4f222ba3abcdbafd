package successor

import (
	"context"
	"errors"
	"os"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/process"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// A Config is what a successor is started with.
type Config struct {
	Program string
	Args    []string
	// Sibling says that the service manager is to be its parent: see
	// process.Start.
	Sibling bool
	// Hello says what this process is. Its Count is set by Start, and with
	// DryRun the successor is killed once it is ready.
	Hello handover.Message
	// Files are descriptors that it inherits besides its handover socket, by
	// these Names. Start owns them.
	Files []int
	Names []string
	// States each send a passed state.
	States []func(transfer.SendFunc) error

	Owner  transfer.Owner // of connections that it will not take
	AtStep func(step string)
	Log    hclog.Logger
}

// Start starts a successor and returns it once it serves. One that failed, or
// that was for a dry run, has ended when Start returns; after a dry run that
// went well both results are nil. When ctx ends the error is its cause.
func Start(ctx context.Context, c Config) (*Successor, error) {
	conn, theirs, err := handover.Pair()
	if err != nil {
		fdutil.CloseAll(c.Files)
		return nil, transfer.ExplainShortage(err)
	}
	p, err := c.launch(ctx, conn, theirs)
	if err != nil {
		_ = conn.Close()
		return nil, transfer.ExplainShortage(err)
	}
	defer p.Release()
	c.AtStep("started")
	c.Log.Debug("started the successor", "pid", p.PID, "program", c.Program)
	ready, err := c.handshake(ctx, conn, p)
	if err != nil || c.Hello.DryRun {
		p.Kill()
		_ = conn.Close()
		return nil, err
	}
	ready.PID, ready.Generation = p.PID, c.Hello.Generation+1
	return New(conn, ready, c.Owner, c.Log), nil
}

// launch starts the program with every file and theirs, its handover socket. It
// closes these here.
func (c Config) launch(ctx context.Context, conn *handover.Conn, theirs int) (*process.Process, error) {
	names := append([]string{activation.HandoverName}, c.Names...)
	fds := append([]int{theirs}, c.Files...)
	defer fdutil.CloseAll(fds)
	env, err := activation.Environ(os.Environ(), os.Getpid(), names)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(past) }) // it may read slowly, or not at all
	defer stop()
	hello := c.Hello
	hello.Count = len(c.States)
	if err := conn.TrySend(hello); err != nil { // nobody reads yet, and it is the first
		return nil, err
	}
	p, err := process.Start(c.Program, c.Args, env, fds, c.Sibling)
	if err != nil {
		return nil, err
	}
	if err := c.sendStates(conn); err != nil {
		p.Kill() // it would wait for them
		p.Release()
		return nil, err
	}
	return p, nil
}

// sendStates sends what the successor waits for. An error says what is lacking
// here. That the successor is dead or stuck is none, since that shows soon
// enough, with its reason.
func (c Config) sendStates(conn *handover.Conn) error {
	for _, send := range c.States {
		err := send(conn.Send)
		switch {
		case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, os.ErrDeadlineExceeded):
			c.Log.Warn("the successor does not take what it is handed down", "error", err)
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}
