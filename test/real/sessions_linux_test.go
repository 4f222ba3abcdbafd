package real_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/miekg/dns"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"github.com/heirloom-go/heirloom/test/real/daemon"
)

// A web asks once.
type web struct{ net.Conn }

func openWeb(ctx context.Context, d *running, _ int) (session, error) {
	nc, err := d.dial(ctx, "tcp", daemon.Address)
	return web{nc}, err
}

func (w web) ask(ctx context.Context, question string) (string, error) {
	path := "/" + question
	if question == "hello" {
		path = "/"
	} else if d, ok := strings.CutPrefix(question, "sleep"); ok {
		path = "/sleep?d=" + d
	}
	deadline, _ := ctx.Deadline()
	_ = w.SetDeadline(deadline)
	if _, err := fmt.Fprintf(w, "GET %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", path); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(w), nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// A channel is one of gRPC, which connects again when the server says that the
// connection ends, and repeats no call that was begun.
type channel struct{ *grpc.ClientConn }

func openGRPC(_ context.Context, d *running, _ int) (session, error) {
	conn, err := grpc.NewClient("passthrough:///"+daemon.Address,
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return d.dial(ctx, "tcp", address) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry(),
	)
	return channel{conn}, err
}

// ask asks once the server is healthy.
func (c channel) ask(ctx context.Context, question string) (string, error) {
	health, err := healthpb.NewHealthClient(c).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return "", fmt.Errorf("health: %w", err)
	}
	if health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return "", fmt.Errorf("health is %v", health)
	}
	response, err := testgrpc.NewTestServiceClient(c).UnaryCall(ctx, &testgrpc.SimpleRequest{Payload: &testgrpc.Payload{Body: []byte(question)}})
	return string(response.GetPayload().GetBody()), err
}

// A resolver asks by UDP or TCP. It sends each query once.
type resolver struct{ *dns.Conn }

func openDNS(ctx context.Context, d *running, number int) (session, error) {
	network := "udp"
	if number%2 == 1 {
		network = "tcp"
	}
	nc, err := d.dial(ctx, network, daemon.Address)
	return resolver{&dns.Conn{Conn: nc}}, err
}

func (r resolver) ask(ctx context.Context, question string) (string, error) {
	deadline, _ := ctx.Deadline()
	if err := r.SetDeadline(deadline); err != nil {
		return "", err
	}
	query := new(dns.Msg).SetQuestion(question+".example.", dns.TypeTXT)
	if err := r.WriteMsg(query); err != nil {
		return "", err
	}
	answer, err := r.ReadMsg()
	if err != nil {
		return "", fmt.Errorf("by %s: %w", r.LocalAddr().Network(), err)
	}
	if answer.Id != query.Id || len(answer.Answer) != 1 {
		return "", fmt.Errorf("the answer is %v", answer)
	}
	txt, ok := answer.Answer[0].(*dns.TXT)
	if !ok || len(txt.Txt) != 1 {
		return "", fmt.Errorf("the answer is %v", answer)
	}
	return txt.Txt[0], nil
}
