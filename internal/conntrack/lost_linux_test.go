package conntrack_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/ledger"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A loser is a server that answers for one that has died.
type loser struct {
	t       *testing.T
	tracked *conntrack.Tracked
	source  net.Listener
}

func newLoser(t *testing.T, server *http.Server) *loser {
	t.Helper()
	source, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &loser{t, conntrack.Track(source, server), source}
	t.Cleanup(func() {
		_ = source.Close()
		l.empty()
	})
	return l
}

// dial returns a connection, and what the server finds of it.
func (l *loser) dial() (client *net.TCPConn, found *ledger.Found) {
	l.t.Helper()
	nc, err := net.Dial("tcp", l.source.Addr().String())
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(patience.Deadline(time.Minute))
	accepted, err := l.source.Accept()
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = accepted.Close() })
	return nc.(*net.TCPConn), &ledger.Found{Conn: accepted}
}

func (l *loser) answer(f *ledger.Found) {
	l.t.Helper()
	if !l.tracked.AnswerLost(f) {
		l.t.Error("no answer")
	}
}

// empty waits until no connection is left.
func (l *loser) empty() {
	l.t.Helper()
	if !patience.Until(time.Minute, func() bool { return l.tracked.Registry().Len() == 0 }) {
		l.t.Errorf("%d connections are left", l.tracked.Registry().Len())
	}
}

// expectLost reads the response to a lost request, and the end behind it.
func expectLost(t *testing.T, r io.Reader, method string) {
	t.Helper()
	buffered := bufio.NewReader(r)
	response, err := http.ReadResponse(buffered, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || len(body) > 0 || response.StatusCode != http.StatusInternalServerError || !response.Close || response.ContentLength != 0 {
		t.Errorf("%s: %+v, %q, %v", method, response, body, err)
	}
	if rest, err := io.ReadAll(buffered); err != nil || len(rest) > 0 {
		t.Errorf("%s: %q, %v after the response", method, rest, err)
	}
}

// TestAnswerLost has clients get a whole response, although they are still
// sending, and no reset.
func TestAnswerLost(t *testing.T) {
	l := newLoser(t, &http.Server{})
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		client, found := l.dial()
		body := make([]byte, 1<<20)
		if _, err := client.Write(body[:1000]); err != nil {
			t.Fatal(err)
		}
		l.answer(found)
		for range 10 { // much more than the kernel holds
			if _, err := client.Write(body); err != nil {
				t.Fatalf("%s: %v", method, err)
			}
		}
		expectLost(t, client, method)
		if _, err := client.Write(body); err != nil {
			t.Errorf("%s: %v", method, err)
		}
		_ = client.Close()
	}
	l.empty()
}

// TestAnswerLostFull has a client that has not read the response before yet, so
// that there is no room for another.
func TestAnswerLostFull(t *testing.T) {
	l := newLoser(t, &http.Server{})
	client, found := l.dial()
	raw, err := found.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	wrote := 0
	_ = raw.Control(func(fd uintptr) {
		for {
			n, err := syscall.Write(int(fd), make([]byte, 1000))
			if err != nil {
				return
			}
			wrote += n
		}
	})
	l.answer(found)
	if _, err := io.ReadFull(client, make([]byte, wrote)); err != nil {
		t.Fatal(err)
	}
	expectLost(t, client, http.MethodGet)
}

// TestAnswerLostDraining gives a client that neither sends nor closes less time
// in a drain than otherwise.
func TestAnswerLostDraining(t *testing.T) {
	for name, begins := range map[string]func(l *loser, found *ledger.Found){
		"before": func(l *loser, found *ledger.Found) {
			l.tracked.SetPhase(conntrack.Lingering)
			l.answer(found)
		},
		"after": func(l *loser, found *ledger.Found) {
			l.answer(found)
			l.tracked.Registry().ReleaseAtRest()
			l.tracked.SetPhase(conntrack.Moving)
			l.tracked.Registry().ReleaseAtRest()
		},
	} {
		serving, draining := newLoser(t, &http.Server{}), newLoser(t, &http.Server{})
		client, found := serving.dial()
		serving.answer(found)
		expectLost(t, client, http.MethodGet)
		client, found = draining.dial()
		begins(draining, found)
		expectLost(t, client, http.MethodGet)
		draining.empty()
		if n := serving.tracked.Registry().Len(); n != 1 {
			t.Errorf("%s: %d connections of a server that is in no drain", name, n)
		}
		if n := serving.tracked.Registry().Count(); n != (conntrack.Counts{}) {
			t.Errorf("%s: %v are counted", name, n)
		}
	}
}

// TestAnswerLostHTTP2 leaves out a connection that may have begun with HTTP/2.
func TestAnswerLostHTTP2(t *testing.T) {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	l := newLoser(t, &http.Server{Protocols: &protocols})
	if _, found := l.dial(); l.tracked.AnswerLost(found) {
		t.Error("an answer of HTTP/1 to what may be HTTP/2")
	}
}

// TestWrittenIsCounted has responses written in every way that net/http has. So
// exact is the count that the next request is known to have no response yet, and
// of one that has begun that it has.
func TestWrittenIsCounted(t *testing.T) {
	large := bytes.Repeat([]byte("large"), 100_000)
	handlers := map[string]http.HandlerFunc{
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"small":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "small") },
		"large":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(large) },
		"flushed": func(w http.ResponseWriter, _ *http.Request) {
			for range 3 {
				_, _ = io.WriteString(w, "part")
				_ = http.NewResponseController(w).Flush()
			}
		},
		"file":     func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "lost_linux_test.go") }, // by sendfile(2)
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) },
	}
	for name, handler := range handlers {
		for _, begun := range []bool{false, true} {
			l := newAnswering(t, handler, begun)
			nc := l.dial()
			l.ask(nc, "/", "")
			l.ask(nc, "/", "")
			l.rest(1)
			l.awaits(1)
			l.send(nc, "/next", "")
			<-l.next
			answered := false
			a, err := l.reopen().Adopt(ledger.Taker{Answer: func(*ledger.Found) bool {
				answered = true
				return false // close it
			}})
			if err != nil || a.Cut != 1 || answered == begun {
				t.Errorf("%s: %+v, %v; answered %v, want %v", name, a, err, answered, !begun)
			}
			_ = nc.Close()
			close(l.release)
			l.awaits(0)
		}
	}
}

// An answering is a keeping that counts what is written.
type answering struct {
	*keeping
	next chan struct{} // receives when /next is under way
}

// newAnswering has a handler at /, and one that does not return at /next. begun
// says whether that begins its response.
func newAnswering(t *testing.T, handler http.HandlerFunc, begun bool) *answering {
	t.Helper()
	l := &answering{next: make(chan struct{}, 1)}
	l.keeping = keepWith(t, func(mux *http.ServeMux, k *keeping) {
		mux.HandleFunc("/", handler)
		mux.HandleFunc("/next", func(w http.ResponseWriter, _ *http.Request) {
			if begun {
				_ = http.NewResponseController(w).Flush()
			}
			l.next <- struct{}{}
			<-k.release
		})
	})
	l.tracked.Registry().CountWritten()
	return l
}

// reopen opens the ledger as another process does.
func (l *answering) reopen() *ledger.Ledger {
	l.t.Helper()
	f := l.ledger.Files()
	for _, fd := range []*int{&f.Page, &f.Read, &f.Write} {
		dup, err := fdutil.DuplicateFrom(*fd, 0)
		if err != nil {
			l.t.Fatal(err)
		}
		*fd = dup
	}
	again, err := ledger.Open(f)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(again.End)
	return again
}
