package tlsmove

import (
	"crypto/fips140"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestRehearsal(t *testing.T) {
	if err := Rehearse(); err != nil {
		t.Fatal(err)
	}
}

// TestRehearsalFails changes what is relied on: nothing must be exported.
func TestRehearsalFails(t *testing.T) {
	for name, meddle := range map[string]func(*Conn){
		"a record more was sent":      func(c *Conn) { c.tap.out.records++ },
		"a record less was sent":      func(c *Conn) { c.tap.out.records-- },
		"a record more came":          func(c *Conn) { c.tap.in.records++ },
		"a record less came":          func(c *Conn) { c.tap.in.records-- },
		"counted from elsewhere":      func(c *Conn) { c.tap.out.keptAt += 100; c.tap.out.records += 100 },
		"no secret was told":          func(c *Conn) { clear(c.tap.in.secret[:]); c.tap.in.size = 0 },
		"another secret was told":     func(c *Conn) { c.tap.out.secret[0] ^= 1 },
		"another suite":               func(c *Conn) { c.tap.suite = tls.TLS_CHACHA20_POLY1305_SHA256 },
		"no suite":                    func(c *Conn) { c.tap.suite = 0 },
		"a record is forged":          func(c *Conn) { c.tap.in.kept[headerSize] ^= 1 },
		"data is left behind by Read": func(c *Conn) { c.tap.in.begun = 3 },
		"a write is not through":      func(c *Conn) { c.tap.writing = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			if err := rehearse(meddle); !errors.Is(err, errRehearsal) {
				t.Errorf("the rehearsal returns %v", err)
			}
		})
	}
}

// newShaken returns a client with this package's record layer and a server of
// crypto/tls that have talked.
func newShaken(t *testing.T) (client, server *Conn) {
	t.Helper()
	config, err := rehearsalConfig()
	if err != nil {
		t.Fatal(err)
	}
	near, far := newMemoryConn()
	t.Cleanup(func() { _ = near.Close() })
	standard := tls.Client(far, &tls.Config{InsecureSkipVerify: true, NextProtos: config.NextProtos})
	server = Server(near, Config(config))
	if err := shakeHands(standard, server); err != nil {
		t.Fatal(err)
	}
	if err := talk(standard, server); err != nil {
		t.Fatal(err)
	}
	peer, err := updateKeys(server, far)
	if err != nil {
		t.Fatal(err)
	}
	return peer.(*Conn), server
}

func wake(t *testing.T, c *Conn) {
	t.Helper()
	_ = c.SetReadDeadline(longAgo)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
}

// TestHiddenKeyUpdate hides a KeyUpdate behind padding: the connection stays,
// and goes on.
func TestHiddenKeyUpdate(t *testing.T) {
	for _, padding := range []int{1, 30, 2000} {
		client, server := newShaken(t)
		sendRecord(t, client, typeHandshake, keyUpdate(0), padding)
		if err := client.adopted.out.update(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := talk(client, server); err != nil {
				t.Fatal(err)
			}
			wake(t, server)
			if _, err := server.Export(); ReasonOf(err) != Unproven {
				t.Errorf("padding %d: Export returns %v", padding, err)
			}
		}
	}
}

// TestSplitKeyUpdate leaves a KeyUpdate half sent.
func TestSplitKeyUpdate(t *testing.T) {
	client, server := newShaken(t)
	sendRecord(t, client, typeHandshake, keyUpdate(0)[:3], 0)
	_ = server.SetReadDeadline(longAgo)
	for range 2 { // the first may find the record or not
		_, _ = server.Read(make([]byte, 1))
	}
	sendRecord(t, client, typeHandshake, keyUpdate(0)[3:], 0)
	if err := client.adopted.out.update(); err != nil {
		t.Fatal(err)
	}
	if err := talk(client, server); err != nil {
		t.Fatal(err)
	}
	wake(t, server)
	if _, err := server.Export(); ReasonOf(err) != Unproven {
		t.Errorf("Export returns %v", err)
	}
}

// TestNeverMoves judges sessions.
func TestNeverMoves(t *testing.T) {
	good := tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: suites[0], NegotiatedProtocol: "http/1.1"}
	for want, change := range map[Reason]func(*tls.ConnectionState){
		Movable:    func(*tls.ConnectionState) {},
		OldVersion: func(cs *tls.ConnectionState) { cs.Version = tls.VersionTLS12 },
		HTTP2:      func(cs *tls.ConnectionState) { cs.NegotiatedProtocol = "h2" },
		Suite:      func(cs *tls.ConnectionState) { cs.CipherSuite = 0x1304 },
	} {
		cs := good
		change(&cs)
		if got := ReasonOf(judge(&cs)); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// TestExportClosed finds connections of crypto/tls that have ended.
func TestExportClosed(t *testing.T) {
	client, server := newShaken(t)
	wake(t, server)
	_ = server.CloseWrite()
	if _, err := server.Export(); ReasonOf(err) != Ended {
		t.Errorf("after a close_notify Export returns %v", err)
	}
	_ = client
	_, server = newShaken(t)
	if _, err := server.Export(); ReasonOf(err) != Busy {
		t.Errorf("without a Read Export returns %v", err)
	}
	wake(t, server)
	if _, err := server.Export(); err != nil {
		t.Fatal(err)
	}
	if err := server.CloseWrite(); !errors.Is(err, ErrMoved) {
		t.Errorf("a close_notify after Export: %v", err)
	}
	if _, err := server.nc.Write(nil); err != nil {
		t.Errorf("the connection below is closed: %v", err)
	}
}

// TestExportRacesStandard exports while others write through crypto/tls: the
// state must name the number of records on the wire, and none may follow.
func TestExportRacesStandard(t *testing.T) {
	for range 20 {
		_, server := newShaken(t)
		wake(t, server)
		m := &meter{Conn: server.tap.Conn}
		server.tap.Conn = m
		before := server.tap.out.records - server.tap.out.base
		s := exportWhileWriting(t, server)
		if s.out.seq != before+m.records {
			t.Fatalf("the state says %d records, the wire has %d", s.out.seq, before+m.records)
		}
	}
}

// TestTruncationStandard ends connections of crypto/tls.
func TestTruncationStandard(t *testing.T) {
	client, server := newShaken(t)
	_ = client.nc.Close()
	if _, err := server.Read(make([]byte, 1)); err == io.EOF || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read returns %v", err)
	}
	client, server = newShaken(t)
	_ = client.Close()
	if _, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after a close_notify read returns %v", err)
	}
}

// TestFIPS runs itself again in FIPS 140 mode, where nothing moves.
func TestFIPS(t *testing.T) {
	if !fips140.Enabled() {
		again := exec.Command(os.Args[0], "-test.run=^TestFIPS$", "-test.v")
		again.Env = append(os.Environ(), "GODEBUG=fips140=on")
		out, err := again.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "in FIPS mode") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	t.Log("in FIPS mode")
	cs := tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: suites[0]}
	if err := judge(&cs); ReasonOf(err) != FIPS {
		t.Errorf("judge: %v", err)
	}
	state := []byte{Format}
	if _, err := Adopt(t.Context(), nil, state, &tls.Config{}); ReasonOf(err) != FIPS || state[0] != 0 {
		t.Errorf("Adopt: %v", err)
	}
}
