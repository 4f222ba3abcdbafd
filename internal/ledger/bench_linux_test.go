package ledger

import (
	"syscall"
	"testing"
	"time"
)

// crowd is how many connections the benchmarks have, whose figures are per
// connection.
const crowd = 1000

// BenchmarkRest is what a request costs.
func BenchmarkRest(b *testing.B) {
	l := newTestLedger(b)
	c := connect(b, 1)[0]
	enter(b, l, []connected{c})
	b.ReportAllocs()
	for b.Loop() {
		c.mark.Took(100)
		c.mark.Rest()
	}
}

// BenchmarkRestWritten is what it costs where requests that are lost are to be
// answered.
func BenchmarkRestWritten(b *testing.B) {
	l := newTestLedger(b)
	c := connect(b, 1)[0]
	c.mark.CountWritten()
	enter(b, l, []connected{c})
	b.ReportAllocs()
	for b.Loop() {
		c.mark.Took(100)
		c.mark.Wrote(100)
		c.mark.Rest()
	}
}

// BenchmarkEnter is what it costs to keep a connection, once in its life.
func BenchmarkEnter(b *testing.B) {
	conns := connect(b, crowd)
	m := &meter{b: b}
	for b.Loop() {
		b.StopTimer()
		l := newTestLedger(b)
		for i := range conns {
			conns[i].mark = new(Mark)
			conns[i].mark.Rest()
		}
		b.StartTimer()
		m.start()
		enter(b, l, conns)
		m.stop()
		b.StopTimer()
		l.End()
		b.StartTimer()
	}
	m.report()
}

// BenchmarkCompact is what it costs to queue a connection again.
func BenchmarkCompact(b *testing.B) {
	l := newTestLedger(b)
	enter(b, l, connect(b, crowd))
	m := &meter{b: b}
	for b.Loop() {
		m.start()
		l.mu.Lock()
		l.toPass = len(l.messages)
		for l.toPass > 0 && l.step() {
		}
		l.mu.Unlock()
		m.stop()
	}
	m.report()
}

// BenchmarkAdopt is what it costs to go on with a connection after a crash.
func BenchmarkAdopt(b *testing.B) {
	l := newTestLedger(b)
	enter(b, l, connect(b, crowd))
	m := &meter{b: b}
	for b.Loop() {
		b.StopTimer()
		next, err := Open(duplicate(b, l.Files()))
		if err != nil {
			b.Fatal(err)
		}
		next.page.field(fieldDeaths).Store(0)
		found := make([]*Found, 0, crowd)
		b.StartTimer()
		m.start()
		a, err := next.Adopt(Taker{Take: func(f *Found) bool {
			f.Keep(new(Mark))
			found = append(found, f)
			return true
		}})
		m.stop()
		b.StopTimer()
		if err != nil || a.Connections != crowd {
			b.Fatalf("%+v, %v", a, err)
		}
		die(next, found)
		b.StartTimer()
	}
	m.report()
}

// A meter is the time of a processor that this process uses for a crowd.
type meter struct {
	b     *testing.B
	since time.Duration
	all   time.Duration
}

func (m *meter) start() { m.since = m.used() }
func (m *meter) stop()  { m.all += m.used() - m.since }

func (m *meter) used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		m.b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report says how much that was for a connection.
func (m *meter) report() {
	m.b.ReportMetric(float64(m.all.Nanoseconds())/float64(m.b.N)/crowd, "cpu-ns/conn")
}
