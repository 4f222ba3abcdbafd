package lifecycle_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestMoveTLSHiddenKeyUpdate has a client update its key behind padding, which
// counting records cannot see. It is told to close, and never gets a wrong
// answer; another one moves.
func TestMoveTLSHiddenKeyUpdate(t *testing.T) {
	for _, test := range []struct {
		name    string
		padding int
		ask     func(rc *recordConn, old recordKey, c *client)
	}{
		{"short", 1, func(_ *recordConn, _ recordKey, c *client) { c.ask("/") }},
		{"long", 2000, func(_ *recordConn, _ recordKey, c *client) { c.ask("/") }},
		{"short, then a long request", 30, func(_ *recordConn, _ recordKey, c *client) { c.ask("/?" + strings.Repeat("x", 1000)) }},
		{"long, then a request that looks the same", 2000, askAlike},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := startMovingTLS(t, "tcp", "HEIRLOOM_TEST_LINGER=10m")
			rc, c := d.dialRecords()
			_, other := d.dialRecords()
			for _, c := range []*client{c, other} {
				c.ask("/")
				c.answer(1)
			}
			old := rc.out
			rc.updateKey(t, test.padding)
			old.seq++
			test.ask(rc, old, c)
			c.answer(1)
			d.reload()
			c.ask("/")
			if !c.answer(1) { // it came before the connection was known to be at rest, and to stay
				c.ask("/")
				if !c.answer(1) {
					t.Error("the client is not told to close")
				}
			}
			c.closed()
			other.ask("/")
			other.answer(2)
			if s := d.status().TLS; s.Arrived != 1 {
				t.Errorf("status %+v", s)
			}
		})
	}
}

// askAlike asks in a record whose type the old key decrypts as well as the new
// one does: one length in 256 has that.
func askAlike(rc *recordConn, old recordKey, c *client) {
	const head, tail = "GET /?", " HTTP/1.1\r\nHost: test\r\n\r\n"
	size := 600
	for old.keyStream(old.seq, size) != rc.out.keyStream(rc.out.seq, size) {
		size++
	}
	fmt.Fprint(c, head+strings.Repeat("x", size-len(head+tail))+tail)
}

// TestMoveTLSForged sends a forged record before and after a move, and half of
// one before and the rest after. The client is told, and nobody else harmed.
func TestMoveTLSForged(t *testing.T) {
	d := startMovingTLS(t, "tcp", "HEIRLOOM_TEST_LINGER=10m", "HEIRLOOM_TEST_SILENCE=10m")
	forge := func(rc *recordConn, c *client) {
		if _, err := rc.Conn.Write(rc.forge()); err != nil {
			t.Fatal(err)
		}
		c.rejected()
	}
	var conns [4]*recordConn
	var clients [4]*client
	for i := range conns {
		conns[i], clients[i] = d.dialRecords()
		_ = conns[i].SetDeadline(patience.Deadline(time.Minute))
		clients[i].ask("/")
		clients[i].answer(1)
	}
	forge(conns[0], clients[0])
	record := conns[1].forge()
	if _, err := conns[1].Conn.Write(record[:20]); err != nil {
		t.Fatal(err)
	}
	d.reload()
	d.eventually("the others to move", func() bool { return d.status().TLS.Arrived >= 2 })
	if _, err := conns[1].Conn.Write(record[20:]); err != nil {
		t.Fatal(err)
	}
	clients[1].rejected()
	for generation := 2; generation <= 3; generation++ {
		clients[3].ask("/")
		clients[3].answer(generation)
		if generation == 2 {
			forge(conns[2], clients[2])
			d.reload()
			d.eventually("the other to move", func() bool { return d.status().TLS.Arrived == 1 })
		}
	}
}

// A miscounter has the numbers of a session miscounted. It finds what counts
// them in ClientHelloInfo.Conn, and changes what nobody but a fault could.
type miscounter struct {
	mu   sync.Mutex
	taps map[string]net.Conn // by the client's address
	idle map[string]string   // what to miscount when the connection is idle
}

// miscount has requests to server say, by the value of miscount, of which
// direction a record is counted twice, "in" or "out", and whether before the
// response or "idle", after it.
func miscount(server *http.Server) {
	m := &miscounter{taps: map[string]net.Conn{}, idle: map[string]string{}}
	server.TLSConfig.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.taps[hello.Conn.RemoteAddr().String()] = hello.Conn
		return nil, nil
	}
	next := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if what := r.FormValue("miscount"); what != "" {
			m.mu.Lock()
			direction, isIdle := strings.CutPrefix(what, "idle ")
			if isIdle {
				m.idle[r.RemoteAddr] = direction
			} else {
				m.add(r.RemoteAddr, direction)
			}
			m.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
	server.ConnState = func(nc net.Conn, state http.ConnState) {
		if state != http.StateIdle {
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if direction := m.idle[nc.RemoteAddr().String()]; direction != "" {
			m.add(nc.RemoteAddr().String(), direction)
		}
	}
}

// add counts a record that there was not. mu is held.
func (m *miscounter) add(address, direction string) {
	tap := reflect.ValueOf(m.taps[address]).Elem()
	mu := (*sync.Mutex)(unsafe.Pointer(tap.FieldByName("mu").UnsafeAddr()))
	records := (*uint64)(unsafe.Pointer(tap.FieldByName(direction).FieldByName("records").UnsafeAddr()))
	mu.Lock()
	defer mu.Unlock()
	*records++
}

func isMiscounting() bool { return os.Getenv("HEIRLOOM_TEST_MISCOUNT") != "" }

// TestMoveTLSMiscount miscounts the records of sessions. Those of which that
// shows are told to close. It does not show of the response that is the first
// record to be proven: then the proof finds the right number.
func TestMoveTLSMiscount(t *testing.T) {
	d := startMovingTLS(t, "tcp", "HEIRLOOM_TEST_MISCOUNT=yes", "HEIRLOOM_TEST_LINGER=10m")
	clients := map[string]*client{}
	for _, what := range []string{"", "in", "out", "idle+in", "idle+out"} {
		_, clients[what] = d.dialRecords()
		clients[what].ask("/?miscount=" + what)
		clients[what].answer(1)
	}
	d.reload()
	d.eventually("the others to move", func() bool { return d.status().TLS.Arrived == 2 })
	for what, c := range clients {
		c.ask("/")
		if what == "" || what == "out" {
			c.answer(2)
			continue
		}
		if !c.answer(1) {
			t.Errorf("%s: the client is not told to close", what)
		}
		c.closed()
	}
	if s := d.status().TLS; s.Arrived != 2 || len(s.Stayed) > 0 {
		t.Errorf("status %+v", s)
	}
}
