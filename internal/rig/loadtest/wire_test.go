package loadtest_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
)

// tape records every write of a client as one string.
type tape struct {
	mu     sync.Mutex
	writes []string
}

type tapedConn struct {
	net.Conn
	tape *tape
}

func (c tapedConn) Write(p []byte) (int, error) {
	c.tape.mu.Lock()
	c.tape.writes = append(c.tape.writes, string(p))
	c.tape.mu.Unlock()
	return c.Conn.Write(p)
}

// dial is a Target.Dial that records.
func (t *tape) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return tapedConn{conn, t}, nil
}

// record returns what one client of the class writes until it has made so many
// requests.
func record(t *testing.T, server *goodServer, class loadtest.Class, seed uint64, requests int) []string {
	t.Helper()
	recorded := new(tape)
	target := brisk(server.address)
	target.Seed = seed
	target.PauseFor = 100 * time.Microsecond
	target.Dial = recorded.dial
	before := server.get(string(class))
	run := loadtest.Start(target, map[loadtest.Class]int{class: 1})
	server.wait(t, map[string]int{string(class): before + requests})
	loadtest.Verify(t, run.Stop())
	return recorded.writes
}

func TestWholeRequestsGoInOneWrite(t *testing.T) {
	server := startGoodServer(t, "tcp", "127.0.0.1:0")
	for _, class := range []loadtest.Class{loadtest.KeepAlive, loadtest.PerRequest, loadtest.Slow, loadtest.Idle, loadtest.ConnectThenWait} {
		for _, write := range record(t, server, class, 0, 3) {
			if !strings.HasPrefix(write, "GET /") || !strings.HasSuffix(write, "\r\n\r\n") || strings.Count(write, "\r\n\r\n") != 1 {
				t.Errorf("%s wrote %q, want one whole request", class, write)
			}
			if asked := strings.HasPrefix(write, "GET /sleep?d=20ms "); asked != (class == loadtest.Slow) {
				t.Errorf("%s wrote %q", class, write)
			}
		}
	}
}

func TestByteByByteWritesBytes(t *testing.T) {
	server := startGoodServer(t, "tcp", "127.0.0.1:0")
	writes := record(t, server, loadtest.ByteByByte, 0, 2)
	if i := slices.IndexFunc(writes, func(w string) bool { return len(w) != 1 }); i >= 0 {
		t.Errorf("wrote %q in one piece", writes[i])
	}
	if wire := strings.Join(writes, ""); strings.Count(wire, "GET / HTTP/1.1\r\n") < 2 {
		t.Errorf("wrote %q", wire)
	}
}

func TestPipelinedWritesSeveralRequestsAtOnce(t *testing.T) {
	server := startGoodServer(t, "tcp", "127.0.0.1:0")
	writes := record(t, server, loadtest.Pipelined, 0, 40)
	for _, write := range writes {
		if n := strings.Count(write, " / HTTP/1.1\r\n"); n < 2 || n > 5 {
			t.Errorf("wrote %d requests at once: %q", n, write)
		}
	}
	if wire := strings.Join(writes, ""); !strings.Contains(wire, "POST / ") {
		t.Errorf("no POST among %q", wire)
	}
}

// TestUnansweredLeftoversAreAllBroken lets a server answer the first of several
// requests and drop the rest.
func TestUnansweredLeftoversAreAllBroken(t *testing.T) {
	server := startRawServer(t, instead(func(c *rawConn) {
		c.answer(c.body(), "Connection: close")
		c.hang()
	}))
	recorded := new(tape)
	target := brisk(server.listener.Addr().String())
	target.Dial = recorded.dial
	run := loadtest.Start(target, map[loadtest.Class]int{loadtest.Pipelined: 1})
	server.wait(t, map[string]int{"served": 5})
	report := run.Stop()
	sent := strings.Count(strings.Join(recorded.writes, ""), " / HTTP/1.1\r\n")
	if report.Requests != sent || report.Broken != sent-len(recorded.writes) {
		t.Errorf("of %d requests in %d turns each got one answer:\n%v", sent, len(recorded.writes), report)
	}
}

// secondParts lists what the writes hold of a GET that follows a whole request
// in the same write.
func secondParts(writes []string) []string {
	var parts []string
	for _, write := range writes {
		first, second, whole := strings.Cut(write, "\r\n\r\n")
		if whole && strings.HasPrefix(first, "GET / ") && second != "" {
			parts = append(parts, second)
		}
	}
	return parts
}

func TestOneAndAHalfCutsAtBoundariesAndBetween(t *testing.T) {
	server := startGoodServer(t, "tcp", "127.0.0.1:0")
	parts := secondParts(record(t, server, loadtest.OneAndAHalf, 0, 600))
	get := "GET / HTTP/1.1\r\nHost: " + server.address + "\r\nUser-Agent: loadtest/one-and-a-half/0\r\n\r\n"
	host := strings.Index(get, "User-Agent")
	random := false
	wanted := map[string]bool{
		"G": false, "GET / HTTP/1.1\r": false, "GET / HTTP/1.1\r\n": false, get[:host]: false,
		get[:len(get)-4]: false, get[:len(get)-2]: false, get[:len(get)-1]: false,
	}
	for _, part := range parts {
		if _, ok := wanted[part]; ok {
			wanted[part] = true
		} else {
			random = true
		}
	}
	for part, seen := range wanted {
		if !seen {
			t.Errorf("in %d cuts none after %q", len(parts), part)
		}
	}
	if !random {
		t.Errorf("in %d cuts none at a random place", len(parts))
	}
}

func TestHalfHeaderLeavesInTwoWrites(t *testing.T) {
	server := startGoodServer(t, "tcp", "127.0.0.1:0")
	writes := record(t, server, loadtest.HalfHeaderThenPause, 0, 6)
	for pair := range slices.Chunk(writes, 2) {
		if request := strings.Join(pair, ""); len(pair) != 2 || !strings.HasPrefix(request, "GET / ") || !strings.HasSuffix(request, "\r\n\r\n") {
			t.Errorf("writes %q are not one request", pair)
		}
	}
}

func TestUploadsLeaveInPieces(t *testing.T) {
	server := startGoodServer(t, "tcp", "127.0.0.1:0")
	const turns = 3
	mark := map[loadtest.Class]string{
		loadtest.Upload:        "\r\nContent-Length: ",
		loadtest.ChunkedUpload: "\r\nTransfer-Encoding: chunked\r\n",
		loadtest.UploadExpect:  "\r\nExpect: 100-continue\r\n",
	}
	for class, header := range mark {
		writes := record(t, server, class, 0, turns)
		wire := strings.Join(writes, "")
		requests := strings.Count(wire, "POST / HTTP/1.1\r\n")
		if requests < turns || strings.Count(wire, header) != requests || len(writes) < 3*requests {
			t.Errorf("%s wrote %d requests in %d pieces: %.300q", class, requests, len(writes), wire)
		}
	}
}

func TestUploadThenGetSharesASegment(t *testing.T) {
	server := startGoodServer(t, "tcp", "127.0.0.1:0")
	writes := record(t, server, loadtest.UploadThenGet, 0, 20)
	shared := 0
	for _, write := range writes {
		if body, _, both := strings.Cut(write, "G"); both && body != "" && strings.Contains("body body", body[max(0, len(body)-3):]) {
			shared++
		}
	}
	if shared == 0 {
		t.Errorf("no piece of a body shares a write with the next request: %.2000q", writes)
	}
}

func TestSeedDecidesWhatIsWritten(t *testing.T) {
	server := startGoodServer(t, "tcp", "127.0.0.1:0")
	for _, class := range loadtest.Classes() {
		first, same := record(t, server, class, 7, 4), record(t, server, class, 7, 4)
		n := min(len(first), len(same))
		if !slices.Equal(first[:n], same[:n]) {
			t.Errorf("%s: the same seed wrote %.400q, then %.400q", class, first, same)
		}
	}
	one, other := record(t, server, loadtest.Upload, 1, 2), record(t, server, loadtest.Upload, 2, 2)
	if one[0]+one[1] == other[0]+other[1] {
		t.Errorf("two seeds wrote the same: %.400q", one[0])
	}
}

func TestCut(t *testing.T) {
	tests := []struct {
		name   string
		places []int
		want   string
	}{
		{"nowhere", nil, "abcdef"},
		{"inside", []int{2, 4}, "ab|cd|ef"},
		{"at the ends", []int{0, 6}, "abcdef"},
		{"twice at one place", []int{3, 3}, "abc|def"},
		{"beyond the end", []int{3, 9}, "abc|def"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var pieces []string
			for _, piece := range loadtest.Cut([]byte("abcdef"), test.places...) {
				pieces = append(pieces, string(piece))
			}
			if got := strings.Join(pieces, "|"); got != test.want {
				t.Errorf("cut at %v gives %s, want %s", test.places, got, test.want)
			}
		})
	}
}

func TestBoundaries(t *testing.T) {
	got := loadtest.Boundaries([]byte("A b\r\nC\r\n\r\nx"))
	if want := []int{1, 4, 5, 7, 8, 9, 10}; !slices.Equal(got, want) {
		t.Errorf("boundaries are %v, want %v", got, want)
	}
}
