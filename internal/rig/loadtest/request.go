package loadtest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"time"
)

// request is one request as it goes over the wire, and what its answer must be.
type request struct {
	header []byte // up to and including the empty line
	body   []byte // as sent: with its chunks, if it is chunked
	reads  int    // how many bytes the answer must say the server read, or noBody
	sleeps time.Duration
}

// wire is the whole request.
func (q request) wire() []byte { return append(bytes.Clone(q.header), q.body...) }

// get is a request without a body. Each of the more lines is one header line
// without its end.
func (c *client) get(path string, more ...string) request {
	return request{header: c.header("GET "+path, more), reads: noBody}
}

func (c *client) sleep() request {
	q := c.get(fmt.Sprintf("/sleep?d=%v", c.run.target.SlowFor))
	q.sleeps = c.run.target.SlowFor
	return q
}

// post is a request with a body of the given size and a Content-Length.
func (c *client) post(size int, more ...string) request {
	more = append(more, fmt.Sprintf("Content-Length: %d", size))
	return request{header: c.header("POST /", more), body: filler(size), reads: size}
}

// postChunked is a request with a body of the given size in chunks of random
// sizes.
func (c *client) postChunked(size int) request {
	q := request{header: c.header("POST /", []string{"Transfer-Encoding: chunked"}), reads: size}
	for _, piece := range cut(filler(size), randomPlaces(c.rand, size, 5)...) {
		q.body = fmt.Appendf(q.body, "%x\r\n%s\r\n", len(piece), piece)
	}
	q.body = append(q.body, "0\r\n\r\n"...)
	return q
}

func (c *client) header(line string, more []string) []byte {
	h := fmt.Appendf(nil, "%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: loadtest/%s/%d\r\n",
		line, c.run.target.host(), c.class, c.number)
	for _, m := range more {
		h = fmt.Appendf(h, "%s\r\n", m)
	}
	return append(h, "\r\n"...)
}

// filler is a body that is easy to recognise where it does not belong, such as
// in the next request's first line.
func filler(size int) []byte {
	const line = "0123456789 body body body body body body body body body body.\r\n"
	return bytes.Repeat([]byte(line), size/len(line)+1)[:size]
}

// cut divides b at the places, which are in ascending order. Every piece has at
// least one byte.
func cut(b []byte, places ...int) [][]byte {
	var pieces [][]byte
	from := 0
	for _, place := range append(places, len(b)) {
		if place > from && place <= len(b) {
			pieces = append(pieces, b[from:place])
			from = place
		}
	}
	return pieces
}

// randomPlaces divides a length into n parts, each place somewhere within its
// part, so that they come in order.
func randomPlaces(random *rand.Rand, length, n int) []int {
	places := make([]int, n)
	for i := range places {
		places[i] = (i*length + random.IntN(length+1)) / n
	}
	return places
}

// boundaries lists the places in a request at which a parser has just finished
// something: after the first byte, within and after each line end, so also just
// before and after the empty line, and before the last byte.
func boundaries(wire []byte) []int {
	places := []int{1}
	for i, b := range wire[:len(wire)-1] {
		if place := i + 1; place > 1 && (b == '\r' || b == '\n' || place == len(wire)-1) {
			places = append(places, place)
		}
	}
	return places
}
