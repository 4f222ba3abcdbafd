package main

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
)

func (d *daemon) serveGRPC() error { return d.rpc("grpc", "127.0.0.1:9090") }

func (d *daemon) serveGRPCS() error {
	return d.rpc("grpcs", "127.0.0.1:9443", grpc.Creds(credentials.NewTLS(d.tls.Clone())))
}

func (d *daemon) rpc(name, address string, options ...grpc.ServerOption) error {
	listener, err := d.service.Listen(name, "tcp", address)
	if err != nil {
		return err
	}
	server := grpc.NewServer(append(options,
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Second, Timeout: 5 * time.Minute}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
	)...)
	testgrpc.RegisterTestServiceServer(server, &testService{daemon: d})
	return d.service.Serve(listener, server)
}

// A testService is gRPC's service for tests of interoperability. Its streams
// end well when this process is to leave.
type testService struct {
	testgrpc.UnimplementedTestServiceServer
	*daemon
}

func (s *testService) UnaryCall(ctx context.Context, r *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	pause("10ms")
	s.noteCall(ctx)
	return &testgrpc.SimpleResponse{Payload: r.GetPayload(), Hostname: strconv.Itoa(s.service.Generation())}, nil
}

// StreamingOutputCall sends events, from the one on that follows the number in
// the payload.
func (s *testService) StreamingOutputCall(r *testgrpc.StreamingOutputCallRequest,
	stream grpc.ServerStreamingServer[testgrpc.StreamingOutputCallResponse]) error {
	last, _ := strconv.ParseInt(string(r.GetPayload().GetBody()), 10, 64)
	return follow(last, s.service.Draining(), func(number int64) error {
		s.noteCall(stream.Context())
		return stream.Send(&testgrpc.StreamingOutputCallResponse{
			Payload: &testgrpc.Payload{Body: strconv.AppendInt(nil, number, 10)},
		})
	})
}

// FullDuplexCall echoes.
func (s *testService) FullDuplexCall(
	stream grpc.BidiStreamingServer[testgrpc.StreamingOutputCallRequest, testgrpc.StreamingOutputCallResponse]) error {
	ended := make(chan error, 1)
	requests := make(chan *testgrpc.StreamingOutputCallRequest)
	go func() { // until FullDuplexCall returns, at the latest
		for {
			r, err := stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			select {
			case requests <- r:
			case <-stream.Context().Done():
				return
			}
		}
	}()
	for {
		select {
		case r := <-requests:
			s.noteCall(stream.Context())
			if err := stream.Send(&testgrpc.StreamingOutputCallResponse{Payload: r.GetPayload()}); err != nil {
				return err
			}
		case err := <-ended:
			return err
		case <-s.service.Draining():
			return nil
		}
	}
}

func (s *testService) noteCall(ctx context.Context) {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		for _, client := range md.Get("client") {
			s.seen.note(client)
		}
	}
}
