// Grpcd is a service of gRPC, with the standard health service.
package main

import (
	"context"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/test/real/daemon"
)

func main() {
	os.Exit(lifecycle.Main(lifecycle.Options{Name: "grpcd"}, os.Args[1:], serve))
}

// A responder answers with the body of the request as the question.
type responder struct {
	testgrpc.UnimplementedTestServiceServer
	generation int
}

// UnaryCall answers.
func (r responder) UnaryCall(_ context.Context, request *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	answer := daemon.Answer(r.generation, string(request.GetPayload().GetBody()))
	return &testgrpc.SimpleResponse{Payload: &testgrpc.Payload{Body: []byte(answer)}}, nil
}

func serve(service *lifecycle.Service) error {
	if err := daemon.ReadConfig(); err != nil {
		return err
	}
	server := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(server, responder{generation: service.Generation()})
	healthpb.RegisterHealthServer(server, health.NewServer())
	listener, err := service.Listen("grpc", "tcp", daemon.Address)
	if err != nil {
		return err
	}
	if err := service.Serve(listener, server); err != nil {
		return err
	}
	return service.Run(context.Background())
}
