package lifecycle

import (
	"cmp"
	"context"
	"net"

	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/framework"
	"github.com/heirloom-go/heirloom/internal/serverend"
)

// A Server serves a listener until that is closed or the server is told to end:
// a *grpc.Server, and most others there are.
type Server interface {
	Serve(net.Listener) error
}

// A ServerFunc is a Server that is one function. It is told to finish by the end
// of its listener alone: it should then return when its connections are done,
// which are waited for in any case.
type ServerFunc func(net.Listener) error

// Serve calls f.
func (f ServerFunc) Serve(listener net.Listener) error { return f(listener) }

// Serve has server serve listener from Run on, for servers of any kind but
// net/http's, which HTTP and HTTPBy know better.
//
// When this process drains, listener is closed and server is told by the first
// of these methods that it has, which may take as long as the drain may:
//
//	Shutdown(context.Context) error
//	ShutdownContext(context.Context) error
//	ShutdownWithContext(context.Context) error
//	Stop(context.Context) error
//	GracefulStop(), with or without an error
//	Shutdown(), with or without an error
//	Stop(), with or without an error
//
// Where that is not done in time, or there is none, it is told by the first of
// Stop() and Close(), with or without an error, or nothing, and its connections
// are closed. That there is none of the first list is logged as a warning.
// Connections are counted from Accept to Close, and do not move. They are
// wrapped: what a server gets from Accept is a net.Conn, and neither a
// *net.TCPConn nor a *tls.Conn.
//
// grpc's GracefulStop waits for streams, also for those of its health and
// reflection services, and Draining is closed before it has sent GOAWAY: a
// stream that a handler ends at once may be started again on the connection that
// is about to go. See [github.com/heirloom-go/heirloom/examples/grpc].
//
// fasthttp answers the requests it has and closes idle connections within a
// tenth of a second; a request that a client sends on one just then is lost.
// Its CloseOnShutdown should be set, so that clients which get a response
// meanwhile know. So does a *fiber.App, in a type that embeds it and whose Serve
// calls its Listener. An *http.Server, or what embeds one or serves by one,
// belongs to HTTP or HTTPBy: Shutdown closes idle connections with what a client
// has just sent. Serve warns of it.
//
// When Serve of server returns before the drain begins, the service stops, and
// Run returns the error.
func (s *Service) Serve(listener net.Listener, server Server) error {
	if err := s.registered.lock("serve on %s", listener.Addr()); err != nil {
		return err
	}
	defer s.registered.mu.Unlock()
	name := s.sockets.NameOf(listener)
	l := conntrack.NewCountingListener(s.conns, listener, name)
	name = cmp.Or(name, listener.Addr().String())
	if _, ok := server.(ServerFunc); !ok {
		serverend.Warn(name, server, s.log)
	}
	hidden := framework.Watch(l, func() { serverend.WarnHidden(name, server, s.log) })
	s.registered.jobs = append(s.registered.jobs, &callback.Job{
		Name: name,
		Run:  func(context.Context) error { return server.Serve(hidden) },
		End: func(ctx context.Context) error {
			_ = listener.Close()
			l.AwaitGreetings(s.options.Linger)
			return serverend.Finish(ctx, server)
		},
		Kill: func() { serverend.Stop(server) },
	})
	return nil
}
