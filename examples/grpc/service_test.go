package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/heirloom-go/heirloom/examples/grpc/flagsv1"
)

// A deafStream is one of a client that sends nothing, and does not listen
// either.
type deafStream struct {
	grpc.ServerStream
	ctx  context.Context
	sent []*flagsv1.EvaluateManyResponse
}

func (s *deafStream) Context() context.Context { return s.ctx }

func (s *deafStream) Recv() (*flagsv1.EvaluateRequest, error) {
	<-s.ctx.Done()
	return nil, s.ctx.Err()
}

func (s *deafStream) Send(r *flagsv1.EvaluateManyResponse) error {
	s.sent = append(s.sent, r)
	return nil
}

// TestDeaf has a client that does not understand the goodbye of EvaluateMany,
// whose stream must not keep the process.
func TestDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, gone := context.WithCancel(t.Context())
		defer gone()
		ending, end := context.WithCancel(t.Context())
		defer end()
		stream := &deafStream{ctx: ctx}
		time.AfterFunc(time.Hour, end)
		began := time.Now()
		err := (&service{flags: &flagsv1.FlagSet{}, ending: ending}).EvaluateMany(stream)
		if took := time.Since(began); status.Code(err) != codes.Unavailable || took != time.Hour+patience {
			t.Errorf("after %v: %v", took, err)
		}
		if len(stream.sent) != 1 || !stream.sent[0].GetLeaving() {
			t.Errorf("the server has said %v", stream.sent)
		}
	})
}
