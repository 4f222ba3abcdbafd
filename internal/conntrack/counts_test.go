package conntrack_test

import (
	"testing"

	"github.com/heirloom-go/heirloom/internal/conntrack"
)

func TestCounts(t *testing.T) {
	all := conntrack.Counts{New: 1, Active: 2, Idle: 3, Hijacked: 4, Streams: 5, Others: 6}
	if got := conntrack.CountsOf(all.ByName()); got != all {
		t.Errorf("over the wire: %+v, want %+v", got, all)
	}
	if got := conntrack.CountsOf(map[string]int{"idle": 1, "of a later version": 2}); got != (conntrack.Counts{Idle: 1}) {
		t.Errorf("with a name that is not known: %+v", got)
	}
	if got, want := all.String(), "2 active, 3 idle, 1 new, 4 hijacked, 5 streams, 6 others"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for want, c := range map[string]conntrack.Counts{
		"":                              {},
		"1 request, 2 idle connections": {Active: 1, Idle: 1, New: 1},
		"1 stream, 2 other connections": {Streams: 1, Others: 2},
		"3 hijacked connections":        {Hijacked: 3},
	} {
		if got := c.Leftover(nil); got != want {
			t.Errorf("left: %q, want %q", got, want)
		}
	}
	if got, want := (conntrack.Counts{Active: 2}).Leftover([]string{"a worker"}), "2 requests, a worker"; got != want {
		t.Errorf("left: %q, want %q", got, want)
	}
}
