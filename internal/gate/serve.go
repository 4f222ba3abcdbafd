package gate

import (
	"context"
	"net"
	"time"

	"github.com/heirloom-go/heirloom/internal/serverend"
)

// A Server answers the datagrams of a socket until a read fails, or it is told
// to end.
type Server interface {
	Serve(net.PacketConn) error
}

// A Job is a server that runs on a socket, which need not have a gate.
type Job struct {
	conn   net.PacketConn
	server Server
	linger time.Duration
	served chan struct{} // closed when Serve has returned
}

// NewJob returns the job of a server. linger is how long the server may take to
// return by itself when its reads fail.
func NewJob(conn net.PacketConn, server Server, linger time.Duration) *Job {
	return &Job{conn: conn, server: server, linger: linger, served: make(chan struct{})}
}

// Run calls Serve. It is called once.
func (j *Job) Run(context.Context) error {
	defer close(j.served)
	return j.server.Serve(j.conn)
}

// End has the server answer the datagrams it has read, and closes the socket
// when it has. It is called when the gate is shut, and ends with ctx at the
// latest.
func (j *Job) End(ctx context.Context) error {
	j.awaitReads(ctx)
	err := serverend.Finish(ctx, j.server)
	select {
	case <-j.served:
		_ = j.conn.Close()
	case <-ctx.Done():
	}
	return err
}

// Kill ends the server at once.
func (j *Job) Kill() { serverend.Stop(j.server) }

// awaitReads waits until Serve has returned, or could have: a server that was
// told to end might drop a datagram that it has just read.
func (j *Job) awaitReads(ctx context.Context) {
	if g := Of(j.conn); g != nil {
		select {
		case <-j.served:
			return
		case <-g.Told():
		case <-ctx.Done():
			return
		}
	} else {
		_ = j.conn.SetReadDeadline(past)
	}
	timer := time.NewTimer(j.linger)
	defer timer.Stop()
	select {
	case <-j.served:
	case <-timer.C:
	case <-ctx.Done():
	}
}
