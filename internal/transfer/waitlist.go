package transfer

import "github.com/heirloom-go/heirloom/internal/conntrack"

// A waitlist holds connections at rest until they are sent, those of each
// endpoint in the order in which they came. A message carries connections of
// one endpoint only. So they are cut into batches by endpoint, in whatever
// order the connections come. The zero value is empty.
type waitlist struct {
	turns []*conntrack.Endpoint // of those that wait, the one whose turn it is first
	of    map[*conntrack.Endpoint][]conntrack.Conn
	count int
}

func (w *waitlist) push(c conntrack.Conn) {
	e := c.Base().Endpoint
	if w.of == nil {
		w.of = make(map[*conntrack.Endpoint][]conntrack.Conn)
	}
	if len(w.of[e]) == 0 {
		w.turns = append(w.turns, e)
	}
	w.of[e] = append(w.of[e], c)
	w.count++
}

// next takes out up to most connections of the endpoint whose turn it is, at
// least one. The list must not be empty.
func (w *waitlist) next(most int) batch {
	e := w.turns[0]
	w.turns = w.turns[1:]
	line := w.of[e]
	n := min(max(most, 1), len(line))
	if n < len(line) {
		w.of[e] = line[n:]
		w.turns = append(w.turns, e)
	} else {
		delete(w.of, e)
	}
	w.count -= n
	return batch(line[:n:n])
}

// putBack undoes next: b comes first again.
func (w *waitlist) putBack(b batch) {
	e := b[0].Base().Endpoint
	if w.of == nil {
		w.of = make(map[*conntrack.Endpoint][]conntrack.Conn)
	}
	others := make([]*conntrack.Endpoint, 0, len(w.turns)+1)
	others = append(others, e)
	for _, other := range w.turns {
		if other != e {
			others = append(others, other)
		}
	}
	w.turns = others
	w.of[e] = append(b[:len(b):len(b)], w.of[e]...)
	w.count += len(b)
}

// takeAll empties the list and returns what was in it.
func (w *waitlist) takeAll() []conntrack.Conn {
	all := make([]conntrack.Conn, 0, w.count)
	for _, e := range w.turns {
		all = append(all, w.of[e]...)
	}
	*w = waitlist{}
	return all
}
