package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/heirloom-go/heirloom/examples/grpc/flagsv1"
)

func connect(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		// A server that is not there just now is waited for.
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
}

// call prints whether a flag is on for each of the users, or of those that in
// has a line of.
func call(address string, args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("usage: call FLAG [USER...]")
	}
	name, users := args[0], args[1:]
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	conn, err := connect(address)
	if err != nil {
		return err
	}
	defer conn.Close()
	client := flagsv1.NewFlagsClient(conn)
	tell := func(user string, r *flagsv1.EvaluateResponse) error {
		state := "off"
		if r.GetEnabled() {
			state = "on"
		}
		_, err := fmt.Fprintf(out, "%s %s\n", user, state)
		return err
	}
	if len(users) == 0 {
		return evaluateMany(ctx, client, name, in, tell)
	}
	for _, user := range users {
		answer, err := evaluate(ctx, client, name, user)
		if err == nil {
			err = tell(user, answer)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func evaluate(ctx context.Context, client flagsv1.FlagsClient, name, user string) (*flagsv1.EvaluateResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return client.Evaluate(ctx, &flagsv1.EvaluateRequest{Flag: name, User: user})
}

// watch prints the flags, and again whenever they have changed, until it is
// interrupted.
func watch(address string, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	conn, err := connect(address)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = follow(ctx, flagsv1.NewFlagsClient(conn), func(set *flagsv1.FlagSet) error {
		var line strings.Builder
		for _, f := range set.GetFlags() {
			fmt.Fprintf(&line, " %s %d%%", f.GetName(), f.GetPercent())
		}
		_, err := fmt.Fprintf(out, "%s:%s\n", set.GetRevision(), &line)
		return err
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// follow tells each change of the flags, through replacements and crashes of
// the server.
func follow(ctx context.Context, client flagsv1.FlagsClient, tell func(*flagsv1.FlagSet) error) error {
	revision := ""
	for {
		err := followStream(ctx, client, &revision, tell)
		switch status.Code(err) {
		case codes.OK: // the server is being replaced
		case codes.Unavailable: // it crashed
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		default:
			return err
		}
	}
}

func followStream(ctx context.Context, client flagsv1.FlagsClient, revision *string, tell func(*flagsv1.FlagSet) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.Watch(ctx, &flagsv1.WatchRequest{Revision: *revision})
	if err != nil {
		return err
	}
	for {
		set, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = tell(set)
		}
		if err != nil {
			return err
		}
		*revision = set.GetRevision()
	}
}

// evaluateMany asks for the user in each line of in, and tells the answers in
// that order, over one stream after the other.
func evaluateMany(ctx context.Context, client flagsv1.FlagsClient, name string, in io.Reader, tell func(string, *flagsv1.EvaluateResponse) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	users := make(chan string)
	lines := bufio.NewScanner(in)
	go func() { // does not wait for it, since no other line may come
		defer close(users)
		for lines.Scan() {
			select {
			case users <- lines.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		s := &evaluation{name: name, asked: make(chan string, 64), leaving: make(chan struct{}), tell: tell}
		if more, err := s.run(ctx, client, users); err != nil {
			return err
		} else if !more {
			return lines.Err()
		}
	}
}

// An evaluation is one stream of evaluateMany.
type evaluation struct {
	name    string
	asked   chan string   // users who were asked for and not told yet
	leaving chan struct{} // closed when the server is leaving
	told    sync.Once
	tell    func(string, *flagsv1.EvaluateResponse) error
}

// run asks until the server is leaving, or there are no users any more, and
// waits for all answers. more is false if it was the latter.
func (s *evaluation) run(ctx context.Context, client flagsv1.FlagsClient, users <-chan string) (more bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.EvaluateMany(ctx)
	if err != nil {
		return false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.receive(stream) }()
	for {
		select {
		case <-s.leaving:
			return true, errors.Join(stream.CloseSend(), <-ended)
		case err := <-ended:
			return false, early(err)
		case user, ok := <-users:
			if !ok {
				return false, errors.Join(stream.CloseSend(), <-ended)
			}
			select {
			case s.asked <- user:
			case err := <-ended:
				return false, early(err)
			}
			if stream.Send(&flagsv1.EvaluateRequest{Flag: s.name, User: user}) != nil {
				return false, early(<-ended) // which says why
			}
		}
	}
}

// early is the error for a stream that the server has ended.
func early(err error) error {
	if err == nil {
		return errors.New("the server has ended the stream")
	}
	return err
}

// receive tells the answers until the stream ends.
func (s *evaluation) receive(stream grpc.BidiStreamingClient[flagsv1.EvaluateRequest, flagsv1.EvaluateManyResponse]) error {
	for {
		message, err := stream.Recv()
		switch {
		case err == io.EOF && len(s.asked) > 0:
			return fmt.Errorf("%d users were not answered for", len(s.asked))
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case message.GetLeaving():
			s.told.Do(func() { close(s.leaving) })
			continue
		}
		select {
		case user := <-s.asked:
			if err := s.tell(user, message.GetResponse()); err != nil {
				return err
			}
		default:
			return errors.New("the server answers what it was not asked")
		}
	}
}
