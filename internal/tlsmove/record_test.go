package tlsmove

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

var suites = []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256}

// newPair returns both ends of a connection after its handshake.
func newPair(t testing.TB, id uint16) (client, server *Conn) {
	t.Helper()
	near, far := newMemoryConn()
	make := func(nc net.Conn, in, out byte) *Conn {
		c := &Conn{nc: nc, adopted: &adopted{}}
		c.adopted.raw = nc
		c.adopted.state = (&session{suite: id}).connectionState()
		s, err := suiteOf(id)
		if err != nil {
			t.Fatal(err)
		}
		if c.adopted.in, err = newDirection(id, bytes.Repeat([]byte{in}, s.secret), 0); err != nil {
			t.Fatal(err)
		}
		if c.adopted.out, err = newDirection(id, bytes.Repeat([]byte{out}, s.secret), 0); err != nil {
			t.Fatal(err)
		}
		return c
	}
	t.Cleanup(func() { _ = near.Close() })
	return make(far, 2, 1), make(near, 1, 2)
}

func forSuites(t *testing.T, test func(t *testing.T, client, server *Conn)) {
	for _, id := range suites {
		t.Run(tls.CipherSuiteName(id), func(t *testing.T) {
			client, server := newPair(t, id)
			test(t, client, server)
		})
	}
}

// sendRecord sends a record of the client's with padding.
func sendRecord(t *testing.T, c *Conn, typ byte, content []byte, padding int) {
	t.Helper()
	inner := append(bytes.Clone(content), typ)
	typ = 0
	if padding == 0 {
		inner, typ = inner[:len(content)], inner[len(content)]
	} else {
		inner = append(inner, make([]byte, padding-1)...)
	}
	record, err := c.adopted.out.seal(nil, typ, inner)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.nc.Write(record); err != nil {
		t.Fatal(err)
	}
}

func keyUpdate(asks byte) []byte { return []byte{messageKeyUpdate, 0, 0, 1, asks} }

// TestTalk sends all there is of records that are no data between those that
// are.
func TestTalk(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Conn) {
		if err := talk(client, server); err != nil {
			t.Fatal(err)
		}
		sendRecord(t, client, typeData, nil, 0)
		sendRecord(t, client, typeData, nil, 100)
		sendRecord(t, client, typeAlert, []byte{levelWarning, alertUserCanceled}, 0)
		sendRecord(t, client, typeHandshake, keyUpdate(0), 30)
		if err := client.adopted.out.update(); err != nil {
			t.Fatal(err)
		}
		sendRecord(t, client, typeHandshake, keyUpdate(1), 0)
		if err := client.adopted.out.update(); err != nil {
			t.Fatal(err)
		}
		if err := talk(client, server); err != nil {
			t.Fatal(err)
		}
		long := strings.Repeat("long", 50_000)
		go func() { _, _ = io.WriteString(server, long); _ = server.CloseWrite() }()
		if got, err := io.ReadAll(client); err != nil || string(got) != long {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := server.Write([]byte("x")); !errors.Is(err, errShutdown) {
			t.Errorf("write after close_notify: %v", err)
		}
	})
}

// TestViolations has the client do what it must not, and be told.
func TestViolations(t *testing.T) {
	for _, v := range []struct {
		name  string
		send  func(t *testing.T, c *Conn)
		alert byte
	}{
		{"forged", func(t *testing.T, c *Conn) {
			record, _ := c.adopted.out.seal(nil, typeData, []byte("x"))
			record[headerSize] ^= 1
			_, _ = c.nc.Write(record)
		}, alertBadRecordMAC},
		{"repeated", func(t *testing.T, c *Conn) {
			record, _ := c.adopted.out.seal(nil, typeData, nil)
			_, _ = c.nc.Write(append(record, record...))
		}, alertBadRecordMAC},
		{"in the clear", func(_ *testing.T, c *Conn) { _, _ = c.nc.Write([]byte{typeAlert, 3, 3, 0, 2, 1, 0}) }, alertUnexpectedMessage},
		{"too long", func(_ *testing.T, c *Conn) { _, _ = c.nc.Write([]byte{typeData, 3, 3, 0x41, 1}) }, alertRecordOverflow},
		{"too long within", func(t *testing.T, c *Conn) { sendRecord(t, c, typeData, make([]byte, maxPlaintext+1), 0) }, alertRecordOverflow},
		{"too short", func(_ *testing.T, c *Conn) { _, _ = c.nc.Write([]byte{typeData, 3, 3, 0, tagSize}) }, alertBadRecordMAC},
		{"padding alone", func(t *testing.T, c *Conn) { sendRecord(t, c, 0, nil, 0) }, alertBadRecordMAC},
		{"another message", func(t *testing.T, c *Conn) { sendRecord(t, c, typeHandshake, []byte{1, 0, 0, 0}, 0) }, alertUnexpectedMessage},
		{"half a KeyUpdate", func(t *testing.T, c *Conn) { sendRecord(t, c, typeHandshake, keyUpdate(0)[:4], 0) }, alertUnexpectedMessage},
		{"a third kind of KeyUpdate", func(t *testing.T, c *Conn) { sendRecord(t, c, typeHandshake, keyUpdate(2), 0) }, alertUnexpectedMessage},
		{"a long alert", func(t *testing.T, c *Conn) { sendRecord(t, c, typeAlert, []byte{1, 0, 0}, 0) }, alertDecodeError},
		{"nothing but nothing", func(t *testing.T, c *Conn) {
			for range maxUseless + 1 {
				sendRecord(t, c, typeData, nil, 0)
			}
		}, alertUnexpectedMessage},
	} {
		t.Run(v.name, func(t *testing.T) {
			client, server := newPair(t, suites[0])
			v.send(t, client)
			_, err := server.Read(make([]byte, 1))
			if want := (AlertError{Alert: v.alert}); !errors.Is(err, want) {
				t.Errorf("the server returns %v, want %v", err, want)
			}
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, AlertError{Alert: v.alert, Remote: true}) {
				t.Errorf("the client is told %v", err)
			}
			if _, err := server.Write([]byte("x")); err == nil {
				t.Error("the server can go on")
			}
			if _, err := server.Export(); ReasonOf(err) != Ended {
				t.Errorf("Export: %v", err)
			}
		})
	}
}

// TestTruncation ends connections with and without a close_notify.
func TestTruncation(t *testing.T) {
	for name, ending := range map[string]func(c *Conn){
		"between records": func(*Conn) {},
		"in a header":     func(c *Conn) { _, _ = c.nc.Write([]byte{typeData}) },
		"in a record":     func(c *Conn) { _, _ = c.nc.Write([]byte{typeData, 3, 3, 0, 30, 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			client, server := newPair(t, suites[0])
			ending(client)
			_ = client.nc.Close()
			if _, err := server.Read(make([]byte, 1)); err == io.EOF || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("read returns %v", err)
			}
		})
	}
	client, server := newPair(t, suites[0])
	_ = client.Close()
	for range 2 {
		if _, err := server.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after a close_notify read returns %v", err)
		}
	}
}

// TestLimit reaches the limit of a key, and sees it replaced.
func TestLimit(t *testing.T) {
	client, server := newPair(t, suites[0])
	server.adopted.out.seq, client.adopted.in.seq = gcmLimit-1, gcmLimit-1
	secret := bytes.Clone(server.adopted.out.secret)
	if err := say(server, client); err != nil {
		t.Fatal(err)
	}
	if seq := server.adopted.out.seq; seq != 2 || bytes.Equal(server.adopted.out.secret, secret) {
		t.Errorf("the next record is number %d", seq)
	}
	if err := talk(client, server); err != nil {
		t.Fatal(err)
	}
}

// TestExportEnds finds that nothing can be done any more, and the state good for
// one adopter.
func TestExportEnds(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Conn) {
		_ = talk(client, server)
		_ = server.SetReadDeadline(longAgo)
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		state, err := server.Export()
		if err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{
			"Read":       second(server.Read(make([]byte, 1))),
			"Write":      second(server.Write([]byte("x"))),
			"CloseWrite": server.CloseWrite(),
			"Export":     second(server.Export()),
		} {
			if !errors.Is(err, ErrMoved) {
				t.Errorf("%s returns %v", name, err)
			}
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		next, err := Adopt(t.Context(), server.nc, state, &tls.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := talk(client, next); err != nil {
			t.Error(err)
		}
		if _, err := Adopt(t.Context(), server.nc, state, &tls.Config{}); ReasonOf(err) != Malformed {
			t.Errorf("adopted twice: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// A meter counts the records that are written.
type meter struct {
	net.Conn
	mu      sync.Mutex
	records uint64
}

func (m *meter) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for rest := p; len(rest) >= headerSize; rest = rest[headerSize+int(binary.BigEndian.Uint16(rest[3:])):] {
		if rest[0] == typeData {
			m.records++
		}
	}
	return m.Conn.Write(p)
}

// exportWhileWriting exports while others write, and returns the state when none
// writes any more.
func exportWhileWriting(t *testing.T, server *Conn) *session {
	t.Helper()
	var writers sync.WaitGroup
	begun := make(chan struct{}, 2)
	for range 2 {
		writers.Go(func() {
			begun <- struct{}{}
			for {
				if _, err := server.Write([]byte("x")); err != nil {
					if !errors.Is(err, ErrMoved) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	<-begun
	var state []byte
	for state == nil {
		var err error
		if state, err = server.Export(); err != nil && ReasonOf(err) != Busy {
			t.Fatal(err)
		}
	}
	writers.Wait()
	s, err := decode(state)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestExportRaces exports while others write: the state must name the number of
// records on the wire, and none may follow.
func TestExportRaces(t *testing.T) {
	for range 50 {
		_, server := newPair(t, suites[0])
		m := &meter{Conn: server.nc}
		server.nc, server.adopted.raw = m, m
		s := exportWhileWriting(t, server)
		if s.out.seq != m.records {
			t.Fatalf("the state says %d records, the wire has %d", s.out.seq, m.records)
		}
	}
}

// TestHalfRecord finds a connection that is not at rest.
func TestHalfRecord(t *testing.T) {
	client, server := newPair(t, suites[0])
	record, _ := client.adopted.out.seal(nil, typeData, []byte("whole"))
	_, _ = client.nc.Write(record[:7])
	for server.adopted.w == 0 {
		_ = server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := server.Read(make([]byte, 9)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if _, err := server.Export(); ReasonOf(err) != Busy {
		t.Errorf("Export within a record: %v", err)
	}
	_, _ = client.nc.Write(record[7:])
	_ = server.SetReadDeadline(time.Time{})
	p := make([]byte, 9)
	if n, err := server.Read(p[:2]); err != nil || string(p[:n]) != "wh" {
		t.Fatal(n, err)
	}
	if _, err := server.Export(); ReasonOf(err) != Busy {
		t.Errorf("Export with data unread: %v", err)
	}
}

// TestLongBuffer reads long records and is then at rest, or is sent a short one:
// the buffer for them is given back.
func TestLongBuffer(t *testing.T) {
	for name, then := range map[string]func(client, server *Conn) int{
		"at rest":        func(_, server *Conn) int { server.Rest(); return 0 },
		"a short record": func(client, _ *Conn) int { _, _ = client.Write([]byte("short")); return 5 },
		"moved":          func(_, _ *Conn) int { return 0 },
	} {
		client, server := newPair(t, suites[0])
		sent := bytes.Repeat([]byte("0123456789abcdef"), 10<<10)
		for range 2 {
			_, _ = client.Write(sent)
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("%s: what was read is not what was sent: %v", name, err)
			}
		}
		if server.adopted.long == nil {
			t.Errorf("%s: no buffer is kept while long records come", name)
		}
		if n := then(client, server); n > 0 {
			if _, err := io.ReadFull(server, make([]byte, n)); err != nil {
				t.Fatal(err)
			}
		}
		if name == "moved" {
			if _, err := server.Export(); err != nil {
				t.Fatal(err)
			}
		} else {
			_ = server.SetReadDeadline(longAgo)
			_, _ = server.Read(make([]byte, 1))
		}
		if server.adopted.long != nil || len(server.adopted.buffer) > restBuffer {
			t.Errorf("%s: the buffer is kept", name)
		}
	}
}
