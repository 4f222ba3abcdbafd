package loadtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// client is one client. Only its own goroutine touches it.
type client struct {
	run            *Run
	results        *classTally
	class          Class
	number         int // among the clients of its class
	turn           func(*client) error
	rand           *rand.Rand
	turns          int       // turns begun so far
	link           *link     // nil between connections
	pending        []request // what this turn has still to be answered, in order
	lastGeneration int       // the generation that gave the last right answer; 0 before the first
}

func newClient(r *Run, results *classTally, b behaviour, position uint64, number int) *client {
	return &client{
		run:     r,
		results: results,
		class:   b.class,
		number:  number,
		turn:    b.turn,
		rand:    rand.New(rand.NewPCG(r.target.Seed, position<<32|uint64(number))),
	}
}

func (c *client) loop() {
	defer c.hangUp()
	for {
		last := !c.run.pause(c.thinkTime())
		if err := c.turn(c); err != nil {
			c.fail(err)
		}
		c.turns++
		if last {
			return
		}
	}
}

func (c *client) thinkTime() time.Duration {
	think := c.run.target.ThinkTime
	switch {
	case c.class == Idle && c.link != nil:
		return c.idleTime()
	case c.class == PerRequest:
		think *= 4
	}
	return c.between(think/3, think*5/3)
}

func (c *client) idleTime() time.Duration {
	return c.between(c.run.target.IdleFor/2, c.run.target.IdleFor)
}

// dawdle pauses within a request. Stop does not cut it short: a request that
// was begun goes over the wire as planned.
func (c *client) dawdle(longest time.Duration) {
	time.Sleep(c.between(longest/2, longest))
}

func (c *client) between(low, high time.Duration) time.Duration {
	return low + time.Duration(c.rand.Int64N(int64(high-low)+1))
}

// begin says which requests the turn is about, and sees to a connection. From
// here on each of them is either answered or broken.
func (c *client) begin(requests ...request) error {
	c.pending = append(c.pending[:0], requests...)
	if c.link == nil {
		if err := c.connect(); err != nil {
			return err
		}
	}
	c.link.beginTurn()
	return nil
}

func (c *client) connect() error {
	t := c.run.target
	ctx, cancel := context.WithTimeout(context.Background(), t.Limit)
	defer cancel()
	began := time.Now()
	conn, err := t.Dial(ctx, t.Network, t.Address)
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	c.link = newLink(conn, time.Since(began))
	c.run.tally.connected(c.results)
	return nil
}

// send writes p, in one segment if it fits into one.
func (c *client) send(p []byte) error {
	if err := c.link.write(p, c.run.target.Limit); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// receive reads and checks the answer to the oldest pending request, and
// records it. No other request was wholly sent, so nothing may follow the
// answer.
func (c *client) receive() error { return c.receiveOneOf(1) }

// receiveAll does the same for all pending requests, which were all sent.
func (c *client) receiveAll() error {
	for len(c.pending) > 0 {
		if err := c.receiveOneOf(len(c.pending)); err != nil {
			return err
		}
	}
	return nil
}

// receiveOneOf reads the first of the answers that may be on their way.
func (c *client) receiveOneOf(expected int) error {
	q := c.pending[0]
	response, body, err := c.link.read(c.run.target.Limit + q.sleeps)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	a, err := c.check(q, response, body)
	if err != nil {
		return err
	}
	if n := c.link.answers.Buffered(); n > 0 && expected == 1 {
		return fmt.Errorf("%w: %d bytes follow that nobody asked for", ErrWrongAnswer, n)
	}
	c.pending = c.pending[1:]
	c.lastGeneration = a.generation
	took := c.link.answered()
	c.run.tally.answered(c.results, a.generation, took)
	c.run.target.Observe(Observation{Class: c.class, At: c.link.lastUsed, Took: took, Generation: a.generation})
	if response.Close {
		return c.closeAnnounced()
	}
	return nil
}

func (c *client) check(q request, response *http.Response, body string) (answer, error) {
	if response.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("%w: status %q, body %.200q", ErrWrongAnswer, response.Status, body)
	}
	a, err := parseAnswer(body)
	if err != nil {
		return answer{}, err
	}
	if a.read != q.reads {
		return answer{}, fmt.Errorf("%w: body %q, but %s", ErrWrongAnswer, body, sentBody(q.reads))
	}
	if early := q.sleeps - c.link.sinceWrite(); early > 0 {
		return answer{}, fmt.Errorf("%w: came %v before the %v asked for were over", ErrWrongAnswer, early, q.sleeps)
	}
	return a, nil
}

func sentBody(size int) string {
	if size == noBody {
		return "no body was sent"
	}
	return fmt.Sprintf("a body of %d bytes was sent", size)
}

// closeAnnounced ends a connection as its server said it would. The server will
// read no more of it, so what was sent after the request just answered is lost.
func (c *client) closeAnnounced() error {
	if len(c.pending) > 0 {
		return ErrUnanswered
	}
	c.hangUp()
	return nil
}

// receiveContinue waits for the server's leave to send a body.
func (c *client) receiveContinue() error {
	response, body, err := c.link.read(c.run.target.Limit)
	if err != nil {
		return fmt.Errorf("read 100 Continue: %w", err)
	}
	if response.StatusCode != http.StatusContinue {
		return fmt.Errorf("%w: status %q, body %.200q instead of 100 Continue", ErrWrongAnswer, response.Status, body)
	}
	return nil
}

// fail records that the turn broke, and gives its connection up.
func (c *client) fail(err error) {
	broken := &BrokenError{
		Class:          c.class,
		Client:         c.number,
		After:          time.Since(c.run.tally.began),
		Unanswered:     max(len(c.pending), 1),
		LastGeneration: c.lastGeneration,
		Err:            err,
	}
	if c.link != nil {
		broken.Conn = c.link.state()
	}
	c.run.tally.broken(c.results, broken.Unanswered, broken)
	c.run.target.Observe(Observation{Class: c.class, At: time.Now(), Broken: broken.Unanswered, Err: broken})
	c.hangUp()
}

// hangUp closes the connection, if there is one.
func (c *client) hangUp() {
	if c.link != nil {
		_ = c.link.conn.Close()
		c.link = nil
	}
}
