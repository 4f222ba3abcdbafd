package ledger_test

import (
	"fmt"
	"io"
	"testing"
)

// under has a client send a request that the server reads and does not answer.
func (c *chain) under(cl *client) {
	c.t.Helper()
	cl.send("silent")
	if line := c.line(); line != "silent" {
		c.t.Fatalf("the server says %q", line)
	}
}

// TestAnswer kills the server again and again with requests under way. Those of
// whose response nothing was written are answered by the next one, also where
// the client still sends, and no other.
func TestAnswer(t *testing.T) {
	for network, address := range map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"} {
		t.Run(network, func(t *testing.T) {
			c := newChain(t, network, address)
			c.answers = true
			c.expect(c.start(), 0, 0)
			rests := c.dial()
			for generation := 2; generation <= 4; generation++ {
				first, later, half := c.dial(), c.dial(), c.dial()
				for n := 1; n <= 3; n++ {
					later.ask(fmt.Sprint(generation-1, " ", n))
				}
				half.send("half")
				half.awaitHalf()
				c.settle(rests, first, later, half)
				c.under(first)
				c.under(later)
				c.kill()
				c.expectAnswered(c.start(), 1, 3, 2)
				first.lost(generation)
				later.lost(generation)
				half.ended()
				rests.ask(fmt.Sprint(generation, " 1"))
			}
		})
	}
}

// TestAnswerOnce kills the process that has answered: the next one does not do
// so again.
func TestAnswerOnce(t *testing.T) {
	c := newChain(t, "tcp", "127.0.0.1:0")
	c.answers = true
	c.expect(c.start(), 0, 0)
	a := c.dial()
	c.settle(a)
	c.under(a)
	c.kill()
	c.expectAnswered(c.start(), 0, 1, 1)
	a.expect("2 lost")
	c.kill()
	c.expect(c.start(), 0, 0)
	if rest, err := io.ReadAll(a.r); err != nil || len(rest) > 0 {
		t.Errorf("not closed: %q, %v", rest, err)
	}
}

// TestAnswerLoop has processes die as soon as they can. At last a request is not
// answered any more either.
func TestAnswerLoop(t *testing.T) {
	c := newChain(t, "tcp", "127.0.0.1:0")
	c.answers, c.young = true, true
	_ = c.start()
	for range 20 {
		a := c.dial()
		c.settle(a)
		c.under(a)
		c.kill()
		got := c.start()
		if got == "adopted 0, cut 1, lost 0, dropped true, answered 0" {
			a.ended()
			return
		}
		c.expectAnswered(got, 0, 1, 1)
		a.lost(c.generation)
	}
	t.Error("connections are never dropped")
}

// TestAnswerBuilds has builds with and without answers follow each other, of
// which the latter are as those that do not know of them. One that answers does
// so only where its own kind knows that nothing was written.
func TestAnswerBuilds(t *testing.T) {
	for name, test := range map[string]struct {
		first, second, third bool // whether they answer
		asks                 bool // a request is answered in between
		answered             int
	}{
		"never":                  {answered: 0},
		"not before":             {third: true},
		"not before, and asks":   {third: true, asks: true},
		"no more":                {first: true, second: true},
		"in between":             {second: true},
		"all":                    {first: true, second: true, third: true, answered: 1},
		"all, and asks":          {first: true, second: true, third: true, asks: true, answered: 1},
		"but in between":         {first: true, third: true, answered: 1},
		"but in between, asks":   {first: true, third: true, asks: true},
		"since some time":        {second: true, third: true, answered: 1},
		"since some time, asked": {second: true, third: true, asks: true, answered: 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChain(t, "tcp", "127.0.0.1:0")
			c.answers = test.first
			c.expect(c.start(), 0, 0)
			a := c.dial()
			a.ask("1 1")
			c.settle(a)
			c.kill()
			c.answers = test.second
			c.expect(c.start(), 1, 0)
			if test.asks {
				a.ask("2 1")
				c.settle(a)
			}
			c.under(a)
			c.kill()
			c.answers = test.third
			c.expectAnswered(c.start(), 0, 1, test.answered)
			if test.answered > 0 {
				a.lost(3)
			} else {
				a.ended()
			}
		})
	}
}
