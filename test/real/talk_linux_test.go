package real_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A session asks a daemon, over one connection or channel, which its Close ends.
type session interface {
	// ask knows the questions hello, sleep and a duration, asleep, and count:
	// see daemon.Answer.
	ask(ctx context.Context, question string) (answer string, err error)
	Close() error
}

// An opener opens sessions, those of even and odd numbers in two ways if a
// daemon has two.
type opener func(ctx context.Context, d *running, number int) (session, error)

// A talk is a crowd of clients that never retry, as a loadtest.Run is for HTTP.
type talk struct {
	d       *running
	ctx     context.Context // ends when the clients are to stop
	stop    context.CancelFunc
	clients sync.WaitGroup

	mu       sync.Mutex
	newest   int           // generation that has answered
	risen    chan struct{} // closed when newest rises
	requests int
}

// startTalk has most clients keep their session, some of whose answers are
// slow, and the others open one for each question.
func startTalk(d *running) *talk {
	l := &talk{d: d, risen: make(chan struct{})}
	l.ctx, l.stop = context.WithCancel(d.t.Context())
	for i := range 10 {
		question := "hello"
		if i < 4 {
			question = "sleep20ms"
		}
		l.clients.Go(func() { l.converse(i, question, i >= 8) })
	}
	return l
}

// converse asks until the clients are to stop, or an answer is not as it should
// be.
func (l *talk) converse(number int, question string, fresh bool) {
	for l.ctx.Err() == nil {
		if err := l.useSession(number, question, fresh); err != nil {
			l.d.t.Errorf("client %d: %v", number, err)
			return
		}
	}
}

// useSession opens a session and asks once, if it is to be fresh for each
// question, or until the clients are to stop.
func (l *talk) useSession(number int, question string, fresh bool) error {
	ctx, cancel := patience.Context(l.d.t.Context(), 30*time.Second)
	defer cancel()
	s, err := l.d.open(ctx, l.d, number)
	if err != nil {
		return err
	}
	defer s.Close()
	for first := true; first || !fresh && l.ctx.Err() == nil; first = false {
		if err := l.askOnce(s, question); err != nil {
			return err
		}
		time.Sleep(2 * time.Millisecond) // a client that thinks
	}
	return nil
}

func (l *talk) askOnce(s session, question string) error {
	ctx, cancel := patience.Context(l.d.t.Context(), 30*time.Second)
	defer cancel()
	answer, err := s.ask(ctx, question)
	if err != nil {
		return err
	}
	var generation, pid int
	if _, err := fmt.Sscanf(answer, "hello from generation %d (pid %d, version real)", &generation, &pid); err != nil {
		return fmt.Errorf("the answer is %q", answer)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	if generation > l.newest {
		l.newest = generation
		close(l.risen)
		l.risen = make(chan struct{})
	}
	return nil
}

// WaitGeneration waits until a generation, or a later one, has answered.
func (l *talk) WaitGeneration(ctx context.Context, generation int) error {
	for {
		l.mu.Lock()
		newest, risen := l.newest, l.risen
		l.mu.Unlock()
		if newest >= generation {
			return nil
		}
		select {
		case <-risen:
		case <-ctx.Done():
			return fmt.Errorf("generation %d does not answer, %d does: %w", generation, newest, ctx.Err())
		}
	}
}

// verify ends the talk. What was not answered has failed the test.
func (l *talk) verify(t *testing.T) {
	t.Helper()
	l.stop()
	l.clients.Wait()
	t.Logf("%d questions", l.requests)
}
