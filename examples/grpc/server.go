package main

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/heirloom-go/heirloom/examples/grpc/flagsv1"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// notice is how long streams go on after GOAWAY.
const notice = 100 * time.Millisecond

// A server is gRPC's, but that its streams end when it is to finish.
// GracefulStop alone would wait for them until the drain is over.
type server struct {
	*grpc.Server
	health *health.Server
	ending context.Context // done when streams are to end
	end    context.CancelFunc
}

// newServer makes a server of flags, with the standard services for health and
// reflection.
func newServer(flags *flagsv1.FlagSet) *server {
	s := &server{health: health.NewServer()}
	s.ending, s.end = context.WithCancel(context.Background())
	s.Server = grpc.NewServer(
		grpc.StreamInterceptor(s.endStream),
		// Watchers may say nothing for days. Those that are gone without a word
		// are noticed, and those may ask that fear the same of the server.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)
	flagsv1.RegisterFlagsServer(s, &service{flags: flags, ending: s.ending})
	s.health.SetServingStatus(flagsv1.Flags_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(s, s.health)
	reflection.Register(s)
	return s
}

// GracefulStop is called by the Service of this process when another takes its
// place, or it is to stop. Clients are told by GOAWAY at once; streams end a
// moment later, and not when Service.Draining is closed, which is before: the
// client would begin the next one on the same connection. Worse, one that
// watches the server's health, as gRPC's own do on request, would take the end
// of that stream for an illness of the server, and fail its calls, while after
// GOAWAY it connects again. gRPC does not say when GOAWAY is written, hence
// notice.
func (s *server) GracefulStop() {
	defer time.AfterFunc(notice, s.end).Stop()
	s.Server.GracefulStop()
}

// watchLameDuck has the health service say NOT_SERVING when the Service begins
// to be a lame duck. That is for a load balancer with other servers to choose
// from. It must not be said at any other end: on a reload, and on a restart
// too, the next process serves in a moment, and until then connections wait.
func (s *server) watchLameDuck(ctx context.Context, service *lifecycle.Service) error {
	select {
	case <-service.LameDuck():
		s.health.Shutdown()
	case <-ctx.Done():
	}
	return nil
}

// endStream is an interceptor that ends streams of services that know nothing
// of replacement, with UNAVAILABLE: someone who watches the health, or holds on
// to a stream of reflection, would keep the process until the drain is over.
func (s *server) endStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if strings.HasPrefix(info.FullMethod, "/"+flagsv1.Flags_ServiceDesc.ServiceName+"/") {
		return handler(srv, stream)
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	err := handler(srv, &endingStream{ServerStream: stream, ctx: ctx})
	if err != nil && s.ending.Err() != nil {
		return status.Error(codes.Unavailable, "the server is leaving")
	}
	return err
}

// An endingStream is one of which the client seems to go away when ctx is done.
type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *endingStream) Context() context.Context { return s.ctx }

func (s *endingStream) RecvMsg(message any) error {
	received := make(chan error, 1)
	go func() { received <- s.ServerStream.RecvMsg(message) }() // until the handler returns, at the latest
	select {
	case err := <-received:
		return err
	case <-s.ctx.Done():
		return status.FromContextError(s.ctx.Err()).Err()
	}
}
