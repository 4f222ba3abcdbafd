package loadtest

import (
	"slices"
	"time"
)

// behaviour is what the clients of a class do each time round.
type behaviour struct {
	class Class
	turn  func(*client) error
}

// behaviours is the one list of classes, in the order of a report.
func behaviours() []behaviour {
	return []behaviour{
		{KeepAlive, (*client).askOnce},
		{PerRequest, (*client).askAndClose},
		{Slow, (*client).askSlowly},
		{Idle, (*client).askOnce},
		{ConnectThenWait, (*client).connectThenWait},
		{ByteByByte, (*client).byteByByte},
		{HalfHeaderThenPause, (*client).halfHeaderThenPause},
		{Pipelined, (*client).pipelined},
		{OneAndAHalf, (*client).oneAndAHalf},
		{Upload, (*client).upload},
		{ChunkedUpload, (*client).uploadChunked},
		{UploadExpect, (*client).uploadExpect},
		{UploadThenGet, (*client).uploadThenGet},
	}
}

// exchange is a turn of one request, sent in pieces with pauses between them.
func (c *client) exchange(q request, pause time.Duration, pieces ...[]byte) error {
	if err := c.begin(q); err != nil {
		return err
	}
	if err := c.sendPieces(pause, pieces); err != nil {
		return err
	}
	return c.receive()
}

func (c *client) sendPieces(pause time.Duration, pieces [][]byte) error {
	for i, piece := range pieces {
		if i > 0 {
			c.dawdle(pause)
		}
		if err := c.send(piece); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) askOnce() error {
	q := c.get("/")
	return c.exchange(q, 0, q.wire())
}

func (c *client) askAndClose() error {
	q := c.get("/", "Connection: close")
	if err := c.exchange(q, 0, q.wire()); err != nil {
		return err
	}
	c.hangUp()
	return nil
}

func (c *client) askSlowly() error {
	q := c.sleep()
	return c.exchange(q, 0, q.wire())
}

func (c *client) connectThenWait() error {
	q := c.get("/")
	if err := c.begin(q); err != nil {
		return err
	}
	// Stop ends the wait, and the request goes out at once.
	c.run.pause(c.idleTime())
	if err := c.send(q.wire()); err != nil {
		return err
	}
	if err := c.receive(); err != nil {
		return err
	}
	c.hangUp()
	return nil
}

func (c *client) byteByByte() error {
	q := c.get("/")
	return c.exchange(q, c.run.target.PauseFor/20, slices.Collect(slices.Chunk(q.wire(), 1))...)
}

func (c *client) halfHeaderThenPause() error {
	q := c.get("/")
	pieces := cut(q.wire(), c.nextPlace(q.wire()))
	if err := c.exchange(q, 10*c.run.target.PauseFor, pieces...); err != nil {
		return err
	}
	// Three turns on each connection, so that cuts of both kinds meet new
	// connections as well as used ones.
	if c.turns%3 == 2 {
		c.hangUp()
	}
	return nil
}

// pipelined mixes requests with bodies of different sizes in, so that answers
// in another order are noticed.
func (c *client) pipelined() error {
	requests := []request{c.get("/")}
	for n := 2 + c.rand.IntN(4); len(requests) < n; {
		next := c.get("/")
		if c.rand.IntN(2) == 0 {
			next = c.post(100*len(requests) + c.rand.IntN(100))
		}
		requests = append(requests, next)
	}
	var wire []byte
	for _, q := range requests {
		wire = append(wire, q.wire()...)
	}
	if err := c.begin(requests...); err != nil {
		return err
	}
	if err := c.send(wire); err != nil {
		return err
	}
	return c.receiveAll()
}

func (c *client) oneAndAHalf() error {
	first, second := c.get("/"), c.get("/")
	if c.rand.IntN(2) == 0 {
		second = c.post(1 + c.rand.IntN(200))
	}
	if err := c.begin(first, second); err != nil {
		return err
	}
	return c.sendOneAndAHalf(first.wire(), second)
}

func (c *client) upload() error {
	q := c.post(c.uploadSize())
	pieces := cut(q.body, randomPlaces(c.rand, len(q.body), 5)...)
	return c.exchange(q, c.run.target.PauseFor, slices.Insert(pieces, 0, q.header)...)
}

func (c *client) uploadChunked() error {
	q := c.postChunked(c.uploadSize())
	pieces := cut(q.wire(), randomPlaces(c.rand, len(q.wire()), 6)...)
	return c.exchange(q, c.run.target.PauseFor, pieces...)
}

func (c *client) uploadExpect() error {
	q := c.post(c.uploadSize(), "Expect: 100-continue")
	if err := c.begin(q); err != nil {
		return err
	}
	if err := c.send(q.header); err != nil {
		return err
	}
	if err := c.receiveContinue(); err != nil {
		return err
	}
	c.dawdle(c.run.target.PauseFor)
	if err := c.sendPieces(c.run.target.PauseFor, cut(q.body, len(q.body)/2)); err != nil {
		return err
	}
	return c.receive()
}

func (c *client) uploadThenGet() error {
	first, second := c.post(c.uploadSize()), c.get("/")
	if err := c.begin(first, second); err != nil {
		return err
	}
	// The last piece of the body is short, so that it and the next request's
	// beginning fit into one segment.
	wire := first.wire()
	last := len(wire) - min(len(first.body), 1+c.rand.IntN(500))
	if err := c.sendPieces(c.run.target.PauseFor, cut(wire[:last], len(first.header))); err != nil {
		return err
	}
	c.dawdle(c.run.target.PauseFor)
	return c.sendOneAndAHalf(wire[last:], second)
}

// sendOneAndAHalf sends the rest of the first pending request and a part of the
// second in one segment, and once the first is answered, the rest of the
// second.
func (c *client) sendOneAndAHalf(rest []byte, second request) error {
	wire := second.wire()
	place := c.nextPlace(wire)
	if err := c.send(slices.Concat(rest, wire[:place])); err != nil {
		return err
	}
	if err := c.receive(); err != nil {
		return err
	}
	c.dawdle(c.run.target.PauseFor)
	if err := c.send(wire[place:]); err != nil {
		return err
	}
	return c.receive()
}

// nextPlace is where to cut a request: in turn at the next boundary and at
// random. The clients of a class begin at different boundaries, so that a short
// run meets most of them.
func (c *client) nextPlace(wire []byte) int {
	if c.turns%2 == 1 {
		return 1 + c.rand.IntN(len(wire)-1)
	}
	places := boundaries(wire)
	return places[(c.number+c.turns/2)%len(places)]
}

func (c *client) uploadSize() int {
	size := c.run.target.UploadSize
	return size/2 + c.rand.IntN(size-size/2) + 1
}
