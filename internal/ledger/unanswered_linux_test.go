package ledger

import (
	"io"
	"testing"
)

// A dialog is a connection that is kept, and the side of its server.
type dialog struct {
	t *testing.T
	connected
}

// read has the client send, and the server read it.
func (d *dialog) read(text string) {
	d.t.Helper()
	if _, err := io.WriteString(d.client, text); err != nil {
		d.t.Fatal(err)
	}
	if _, err := io.ReadFull(d.TCPConn, make([]byte, len(text))); err != nil {
		d.t.Fatal(err)
	}
	d.mark.Took(len(text))
}

// write has the server write. It returns how much that was.
func (d *dialog) write(text string) int {
	d.t.Helper()
	n, err := io.WriteString(d.TCPConn, text)
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

// TestUnanswered has a process die at any step of a request. The request is
// offered to be answered only if nothing of its response was written.
func TestUnanswered(t *testing.T) {
	const goesOn, closed, answered = "goes on", "closed", "answered"
	for name, c := range map[string]struct {
		steps func(d *dialog)
		want  string
	}{
		"at rest":       {func(*dialog) {}, goesOn},
		"a part read":   {func(d *dialog) { d.read("GE") }, answered},
		"all read":      {func(d *dialog) { d.read("GET"); d.read("/") }, answered},
		"begun":         {func(d *dialog) { d.read("GET"); d.mark.Wrote(d.write("H")) }, closed},
		"begun unnoted": {func(d *dialog) { d.read("GET"); d.write("H") }, closed},
		"responded":     {func(d *dialog) { d.read("GET"); d.mark.Wrote(d.write("HTTP")) }, closed},
		"between the notes of a rest": {func(d *dialog) {
			d.read("GET")
			d.mark.Wrote(d.write("HTTP"))
			d.mark.place.Load().note(newWord(0, d.mark.taken, rest))
		}, goesOn},
		"after notes of half a rest": {func(d *dialog) {
			d.read("GET")
			d.mark.Wrote(d.write("HTTP"))
			d.mark.place.Load().note(newWord(0, d.mark.taken, rest))
			d.read("GET")
		}, closed},
		"again": {func(d *dialog) {
			d.read("GET")
			d.mark.Wrote(d.write("HTTP"))
			d.mark.Rest()
			d.read("GET")
		}, answered},
		"with what nobody counted": {func(d *dialog) {
			d.read("GET")
			d.write("HTTP")
			d.mark.Rest()
			d.read("GET")
		}, closed},
		"a slot that others had": {func(d *dialog) {
			p := d.mark.place.Load()
			p.written().Store(uint64(newWord(p.epoch-1, 0, rest)))
			d.read("GET")
		}, closed},
		"a page that lies": {func(d *dialog) {
			p := d.mark.place.Load()
			p.written().Store(uint64(newWord(p.epoch, 1, rest)))
			d.read("GET")
		}, closed},
		"never at rest": {func(d *dialog) {
			p := d.mark.place.Load()
			p.word.Store(uint64(newWord(p.epoch, 0, busy)))
			d.read("GET")
		}, closed},
	} {
		t.Run(name, func(t *testing.T) {
			l := newTestLedger(t)
			d := &dialog{t, connect(t, 1)[0]}
			d.mark.CountWritten()
			d.mark.Rest()
			enter(t, l, []connected{d.connected})
			c.steps(d)
			got := closed
			a, err := reopen(t, l).Adopt(Taker{
				Take: func(f *Found) bool {
					f.Keep(new(Mark))
					t.Cleanup(func() { _ = f.Conn.Close() })
					got = goesOn
					return true
				},
				Answer: func(f *Found) bool {
					t.Cleanup(func() { _ = f.Conn.Close() })
					got = answered
					return true
				},
			})
			if err != nil || got != c.want || (a.Answered == 1) != (got == answered) {
				t.Errorf("%s (%+v, %v), want %s", got, a, err, c.want)
			}
		})
	}
}

// TestUnansweredUnwanted has nobody answer: the connection is closed.
func TestUnansweredUnwanted(t *testing.T) {
	l := newTestLedger(t)
	d := &dialog{t, connect(t, 1)[0]}
	d.mark.CountWritten()
	d.mark.Rest()
	enter(t, l, []connected{d.connected})
	d.read("GET")
	a, err := reopen(t, l).Adopt(Taker{Answer: func(*Found) bool { return false }})
	if err != nil || a.Cut != 1 || a.Answered != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	d.ended(t)
}
