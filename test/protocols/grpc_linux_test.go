package protocols_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

const (
	grpcPlain = "127.0.0.1:9090"
	grpcTLS   = "127.0.0.1:9443"
)

// connect makes a channel that repeats no call, except what the server has said
// that it did not begin.
func (l *load) connect(address string) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if address == grpcTLS {
		creds = credentials.NewTLS(l.site.tls())
	}
	return grpc.NewClient("passthrough:///"+address,
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return l.site.machine.Dial(ctx, "tcp", address)
		}),
		grpc.WithTransportCredentials(creds),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Minute, PermitWithoutStream: true}),
	)
}

// streamLimit is for a stream, which ends only with the generation that serves
// it: that is replaced when all clients have been served.
const streamLimit = 10 * time.Minute

// calling is the context of calls that may take that long.
func (l *load) calling(limit time.Duration) (context.Context, context.CancelFunc) {
	ctx := metadata.AppendToOutgoingContext(l.done, "client", l.peer.name)
	return patience.Context(ctx, limit)
}

// grpcUnary calls over several channels, and twice at a time over each, with a
// pause between calls.
func grpcUnary(name, address string, channels int, pause time.Duration) peer {
	return peer{name: name, want: 2, run: func(l *load) string {
		var calls atomic.Int64
		var group sync.WaitGroup
		for range channels {
			conn, err := l.connect(address)
			if err != nil {
				l.breaks("%v", err)
				break
			}
			defer conn.Close()
			client := testgrpc.NewTestServiceClient(conn)
			for range 2 {
				group.Go(func() {
					for l.running() {
						l.callOnce(client, calls.Add(1))
						time.Sleep(pause)
					}
				})
			}
		}
		group.Wait()
		return fmt.Sprintf("%d calls", calls.Load())
	}}
}

// grpcFresh makes a channel for each call.
func grpcFresh(name, address string, callers int) peer {
	return peer{name: name, want: 2, run: func(l *load) string {
		var calls atomic.Int64
		var group sync.WaitGroup
		for range callers {
			group.Go(func() {
				for l.running() {
					conn, err := l.connect(address)
					if err != nil {
						l.breaks("%v", err)
						break
					}
					l.callOnce(testgrpc.NewTestServiceClient(conn), calls.Add(1))
					_ = conn.Close()
				}
			})
		}
		group.Wait()
		return fmt.Sprintf("%d calls", calls.Load())
	}}
}

func (l *load) callOnce(client testgrpc.TestServiceClient, number int64) {
	ctx, cancel := l.calling(time.Minute)
	defer cancel()
	body := strconv.FormatInt(number, 10)
	response, err := client.UnaryCall(ctx, &testgrpc.SimpleRequest{Payload: &testgrpc.Payload{Body: []byte(body)}})
	switch {
	case l.done.Err() != nil:
	case err != nil:
		l.breaks("call %s: %v", body, err)
	case string(response.GetPayload().GetBody()) != body:
		l.breaks("call %s was answered %v", body, response)
	}
}

// grpcEvents follows events, stream by stream: each goes on where the one
// before ended.
func grpcEvents(name, address string) peer {
	return peer{name: name, want: 2, run: func(l *load) string {
		conn, err := l.connect(address)
		if err != nil {
			l.breaks("%v", err)
			return ""
		}
		defer conn.Close()
		client := testgrpc.NewTestServiceClient(conn)
		streams, events, last := 0, 0, int64(0)
		for ; l.running(); streams++ {
			n, err := l.followEvents(client, &last)
			events += n
			if err != nil {
				l.breaks("stream %d, event %d: %v", streams, last, err)
			}
		}
		return fmt.Sprintf("%d events in %d streams", events, streams)
	}}
}

// followEvents follows events until the stream ends well.
func (l *load) followEvents(client testgrpc.TestServiceClient, last *int64) (events int, err error) {
	ctx, cancel := l.calling(streamLimit)
	defer cancel()
	request := &testgrpc.StreamingOutputCallRequest{Payload: &testgrpc.Payload{Body: strconv.AppendInt(nil, *last, 10)}}
	stream, err := client.StreamingOutputCall(ctx, request)
	if err != nil {
		return 0, err
	}
	for ; ; events++ {
		response, err := stream.Recv()
		if err == io.EOF || l.done.Err() != nil {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		number, err := strconv.ParseInt(string(response.GetPayload().GetBody()), 10, 64)
		if err != nil || *last != 0 && number != *last+1 {
			return events, fmt.Errorf("event %d came next, %w", number, err)
		}
		*last = number
	}
}

// grpcEcho has messages echoed, one at a time, over streams of both directions.
// What was not echoed when a stream ended is sent again on the next.
func grpcEcho(name, address string) peer {
	return peer{name: name, want: 2, run: func(l *load) string {
		conn, err := l.connect(address)
		if err != nil {
			l.breaks("%v", err)
			return ""
		}
		defer conn.Close()
		client := testgrpc.NewTestServiceClient(conn)
		streams, messages := 0, 0
		for ; l.running(); streams++ {
			n, err := l.echoMessages(client, messages)
			messages += n
			if err != nil {
				l.breaks("stream %d, message %d: %v", streams, messages, err)
			}
		}
		return fmt.Sprintf("%d messages in %d streams", messages, streams)
	}}
}

// echoMessages sends numbers from first on until the server ends the stream,
// and returns how many were echoed.
func (l *load) echoMessages(client testgrpc.TestServiceClient, first int) (echoed int, err error) {
	ctx, cancel := l.calling(streamLimit)
	defer cancel()
	stream, err := client.FullDuplexCall(ctx)
	if err != nil {
		return 0, err
	}
	for ; ; echoed++ {
		body := strconv.Itoa(first + echoed)
		err := stream.Send(&testgrpc.StreamingOutputCallRequest{Payload: &testgrpc.Payload{Body: []byte(body)}})
		if err != nil && err != io.EOF { // io.EOF means that Recv tells how the stream ended
			return echoed, err
		}
		response, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF), l.done.Err() != nil:
			return echoed, nil
		case err != nil:
			return echoed, err
		case string(response.GetPayload().GetBody()) != body:
			return echoed, fmt.Errorf("echoed was %v", response)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
