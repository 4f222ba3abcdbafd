package main

import (
	"context"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/heirloom-go/heirloom/examples/grpc/flagsv1"
)

// patience is how long a client may take to half-close a stream when it is told
// that the server is leaving.
const patience = 5 * time.Second

// A service is flags.v1.Flags. Its streams end well when ending is done.
type service struct {
	flagsv1.UnimplementedFlagsServer
	flags  *flagsv1.FlagSet
	ending context.Context
}

// Evaluate needs no care: the process waits for calls that have begun, and
// GOAWAY sees to it that each other goes to the next one.
func (s *service) Evaluate(_ context.Context, r *flagsv1.EvaluateRequest) (*flagsv1.EvaluateResponse, error) {
	f := find(s.flags, r.GetFlag())
	if f == nil {
		return nil, status.Errorf(codes.NotFound, "no flag %q", r.GetFlag())
	}
	return &flagsv1.EvaluateResponse{Enabled: isOn(f, r.GetUser()), Revision: s.flags.GetRevision()}, nil
}

// EvaluateMany cannot just end when the process leaves: requests may be on
// their way to it. So it says goodbye, and goes on until the client has said
// that this was all.
func (s *service) EvaluateMany(stream grpc.BidiStreamingServer[flagsv1.EvaluateRequest, flagsv1.EvaluateManyResponse]) error {
	requests, ended := receive(stream)
	ending := s.ending.Done()
	var over <-chan time.Time
	for {
		select {
		case r := <-requests:
			answer, err := s.Evaluate(stream.Context(), r)
			if err != nil {
				return err
			}
			message := &flagsv1.EvaluateManyResponse{Message: &flagsv1.EvaluateManyResponse_Response{Response: answer}}
			if err := stream.Send(message); err != nil {
				return err
			}
		case err := <-ended:
			return err
		case <-ending:
			message := &flagsv1.EvaluateManyResponse{Message: &flagsv1.EvaluateManyResponse_Leaving{Leaving: true}}
			if err := stream.Send(message); err != nil {
				return err
			}
			timer := time.NewTimer(patience)
			defer timer.Stop()
			ending, over = nil, timer.C
		case <-over:
			return status.Error(codes.Unavailable, "the server is leaving, and the client did not half-close")
		}
	}
}

// receive receives in the background until the handler returns, at the latest.
// The end of the stream comes after its last request; it is nil if the client
// has half-closed.
func receive[Request, Response any](stream grpc.BidiStreamingServer[Request, Response]) (<-chan *Request, <-chan error) {
	requests, ended := make(chan *Request), make(chan error, 1)
	go func() {
		for {
			r, err := stream.Recv()
			if err == io.EOF {
				ended <- nil
				return
			}
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
	return requests, ended
}

// Watch has one thing to tell at most, since flags change with the process.
func (s *service) Watch(r *flagsv1.WatchRequest, stream grpc.ServerStreamingServer[flagsv1.FlagSet]) error {
	if r.GetRevision() != s.flags.GetRevision() {
		if err := stream.Send(s.flags); err != nil {
			return err
		}
	}
	select {
	case <-s.ending.Done():
		return nil
	case <-stream.Context().Done():
		return status.FromContextError(stream.Context().Err()).Err()
	}
}
