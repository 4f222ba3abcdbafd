package lifecycle_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// startMovingTLS starts the daemon with Options.MoveTLS.
func startMovingTLS(t *testing.T, network string, env ...string) *local {
	t.Helper()
	return startLocal(t, network, append([]string{"HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_MOVE_TLS=yes", longDrain}, env...)...)
}

// dialWith makes a connection of TLS with another configuration.
func (d *local) dialWith(config *tls.Config) *client {
	d.t.Helper()
	config.InsecureSkipVerify = true
	nc, err := tls.Dial(d.network, d.address, config)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = nc.Close() })
	return &client{d.t, nc, bufio.NewReader(nc)}
}

// TestMoveTLS has connections of HTTP/1.1 over TLS 1.3 outlive five reloads:
// one at rest, one that is new, and one whose request is under way. One of TLS
// 1.2 is told to close.
func TestMoveTLS(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) { moveTLS(t, network) })
	}
}

func moveTLS(t *testing.T, network string) {
	d := startMovingTLS(t, network, "HEIRLOOM_TEST_LINGER=10m")
	used, fresh, busy := d.dialTLS(), d.dialTLS(), d.dialTLS()
	d.eventually("the handshakes", func() bool { return d.status().Connections.New == 3 })
	old := d.dialWith(&tls.Config{MaxVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	old.ask("/")
	old.answer(1)
	d.underWay(old, "/?until=over-1")
	const reloads = 5
	for generation := 1; generation <= reloads; generation++ {
		used.ask("/")
		if used.answer(generation) {
			t.Error("the client is told to close")
		}
		d.underWay(busy, fmt.Sprintf("/?until=over-%d", generation))
		d.reload()
		d.put(fmt.Sprintf("over-%d", generation), "")
		if busy.answer(generation) {
			t.Error("the client with a request under way is told to close")
		}
		// net/http may have read of a request that follows a response at once.
		d.eventually("all to move", func() bool { return d.status().TLS.Arrived == 3 })
	}
	for _, c := range []*client{used, fresh, busy} {
		c.ask("/")
		c.answer(reloads + 1)
	}
	old.answer(1)
	old.ask("/")
	if !old.answer(1) {
		t.Error("the client of TLS 1.2 is not told to close")
	}
	old.closed()
	d.eventually("the older generations to end", func() bool { return len(d.status().Predecessors) == 0 })
	s := d.status()
	if s.TLS == nil || s.TLS.Arrived != 3 || s.TLS.Lost != 0 || len(s.TLS.Stayed) != 0 {
		t.Errorf("status %+v", s.TLS)
	}
}

// TestMoveTLSInPlace does so where the program is replaced in its process.
func TestMoveTLSInPlace(t *testing.T) {
	d := startMovingTLS(t, "tcp", "HEIRLOOM_TEST_REPLACE=in-place", "HEIRLOOM_TEST_LINGER=1ms")
	used, fresh := d.dialTLS(), d.dialTLS()
	for generation := 1; generation <= 5; generation++ {
		used.ask("/")
		if used.answer(generation) {
			t.Error("the client is told to close")
		}
		d.signal(syscall.SIGHUP)
		d.eventually("the next generation", func() bool {
			out, err := d.command("status")
			return err == nil && strings.Contains(out, fmt.Sprintf("generation %d, ready", generation+1))
		})
	}
	for _, c := range []*client{used, fresh} {
		c.ask("/")
		c.answer(6)
	}
}

// TestMoveTLSHalf has clients that have sent half a request, half of a record
// of one, or one and a half requests in one record.
func TestMoveTLSHalf(t *testing.T) {
	d := startMovingTLS(t, "tcp", "HEIRLOOM_TEST_LINGER=10m", "HEIRLOOM_TEST_SILENCE=10m")
	const get = "GET / HTTP/1.1\r\nHost: test\r\n\r\n"
	halfRequest, pipelined := d.dialTLS(), d.dialTLS()
	w, halfRecord, shook := d.dialWithheld()
	w.release(t)
	if err := <-shook; err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{halfRequest, halfRecord} {
		c.ask("/")
		c.answer(1)
	}
	fmt.Fprint(halfRequest, get[:10])
	fmt.Fprint(pipelined, get+get[:20])
	pipelined.answer(1)
	w.hold()
	halfRecord.ask("/")
	w.send(t, 20)
	d.reload()
	fmt.Fprint(halfRequest, get[10:])
	fmt.Fprint(pipelined, get[20:])
	w.release(t)
	for _, c := range []*client{halfRequest, pipelined, halfRecord} {
		_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
		response, err := http.ReadResponse(c.reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		if response.Close {
			t.Error("a client is told to close")
		}
	}
	// net/http may have read of a request that follows a response at once.
	d.eventually("all to move", func() bool { return d.status().TLS.Arrived == 3 })
	for _, c := range []*client{halfRequest, pipelined, halfRecord} {
		c.ask("/")
		c.answer(2)
	}
}

// TestMoveTLSLoad has all kinds of clients, over TLS 1.3, while the process is
// replaced ten times. No request breaks, and those that keep their connection
// keep it to the end.
func TestMoveTLSLoad(t *testing.T) {
	for _, mode := range []string{"", "in-place"} {
		t.Run(mode, func(t *testing.T) {
			d := startMovingTLS(t, "tcp", "HEIRLOOM_TEST_REPLACE="+mode)
			dialer := &net.Dialer{}
			target := loadtest.Target{Address: d.address, Dial: loadtest.OverTLS(dialer.DialContext), SlowFor: 100 * time.Millisecond, IdleFor: 300 * time.Millisecond}
			kept := loadtest.Start(target, map[loadtest.Class]int{loadtest.KeepAlive: 10})
			all := loadtest.Start(target, loadtest.OfEach(1))
			for generation := 2; generation <= 11; generation++ {
				d.reload()
				for _, run := range []*loadtest.Run{kept, all} {
					if err := run.WaitGeneration(t.Context(), generation); err != nil {
						t.Fatal(err)
					}
				}
			}
			report := kept.Stop()
			loadtest.Verify(t, report)
			loadtest.Verify(t, all.Stop())
			if n := report.Connections; n != 10 {
				t.Errorf("10 clients used %d connections", n)
			}
		})
	}
}

// TestMoveTLSHTTP2 has a client of HTTP/2 beside: it is told GOAWAY, and
// connects anew.
func TestMoveTLSHTTP2(t *testing.T) {
	d := startMovingTLS(t, "tcp", "HEIRLOOM_TEST_LINGER=1ms")
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP2(true)
	defer tr.CloseIdleConnections()
	for generation := 1; generation <= 4; generation++ {
		response, err := (&http.Client{Transport: tr}).Get("https://" + d.address + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.ProtoMajor != 2 || !strings.HasPrefix(string(body), fmt.Sprintf("hello from generation %d ", generation)) {
			t.Errorf("%s, %q, %v", response.Proto, body, err)
		}
		if moves := d.status().TLS; moves.Stayed["http2"] != 1 {
			t.Errorf("status %+v", moves)
		}
		d.reload()
		d.eventually("the drain to end", func() bool { return len(d.status().Predecessors) == 0 })
	}
}

// TestMoveTLSRestart has connections wait in the file descriptor store.
func TestMoveTLSRestart(t *testing.T) {
	eachSystemd(t, func(t *testing.T, d *managedDaemon) {
		target := loadtest.Target{Address: "127.0.0.1:8080", Dial: loadtest.OverTLS(d.machine.Dial)}
		run := loadtest.Start(target, map[loadtest.Class]int{loadtest.KeepAlive: 20})
		for generation := 2; generation <= 11; generation++ {
			if generation%2 == 0 {
				d.restart()
			} else {
				d.reload()
			}
			if err := run.WaitGeneration(t.Context(), generation); err != nil {
				t.Fatal(err)
			}
		}
		report := run.Stop()
		loadtest.Verify(t, report)
		if n := report.Connections; n != 20 {
			t.Errorf("20 clients used %d connections", n)
		}
	}, "HEIRLOOM_TEST_ROLE=daemon ", "HEIRLOOM_TEST_ROLE=daemon HEIRLOOM_TEST_TLS=yes HEIRLOOM_TEST_MOVE_TLS=yes ")
}

// put writes a file in the daemon's RuntimeDirectory.
func (d *local) put(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
}

// TestMoveTLSUnwilling has a successor without Options.MoveTLS: it says of no
// listener that it takes sessions, as an older build does not, and gets none.
func TestMoveTLSUnwilling(t *testing.T) {
	d := startMovingTLS(t, "tcp", "HEIRLOOM_TEST_LINGER=10m")
	moves, stays := d.dialTLS(), d.dialTLS()
	for _, c := range []*client{moves, stays} {
		c.ask("/")
		c.answer(1)
	}
	d.put("stay", "")
	d.reload()
	stays.ask("/")
	if !stays.answer(1) {
		t.Error("the client is not told to close")
	}
	stays.closed()
	moves.ask("/")
	moves.answer(1)
	if s := d.status(); s.TLS != nil {
		t.Errorf("status %+v", s.TLS)
	}
}

// TestMoveTLSClients has clients with a certificate, in a configuration that
// asks for one. The successor trusts none of them any more.
func TestMoveTLSClients(t *testing.T) {
	d := startMovingTLS(t, "tcp", "HEIRLOOM_TEST_LINGER=10m")
	certificate := d.trustClient()
	d.reload()
	var clients []*client
	for range 3 {
		c := d.dialWith(&tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}})
		c.ask("/")
		c.answer(2)
		clients = append(clients, c)
	}
	d.reload()
	d.awaitAlone()
	for _, c := range clients {
		c.ask("/")
		c.answer(3)
	}
	d.trustClient() // another one
	d.reload()
	for _, c := range clients {
		_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
		if b, err := c.reader.ReadByte(); err == nil {
			t.Errorf("read %q of a session that is not accepted", b)
		}
	}
	d.eventually("the count", func() bool { return d.status().TLS.Stayed["refused"] == 3 })
}

// trustClient makes a certificate that the next generation accepts from
// clients, and no other.
func (d *local) trustClient() tls.Certificate {
	d.t.Helper()
	config := selfSigned()
	d.put("trusted", string(config.Certificates[0].Certificate[0]))
	return config.Certificates[0]
}

// TestMoveTLSPlain has a client that speaks no TLS: it is told so, as by
// net/http alone, and others are served.
func TestMoveTLSPlain(t *testing.T) {
	d := startMovingTLS(t, "tcp")
	c := d.dial()
	c.ask("/")
	_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
	answer, err := io.ReadAll(c)
	if err != nil || !strings.Contains(string(answer), "sent an HTTP request to an HTTPS server") {
		t.Errorf("read %q, %v", answer, err)
	}
	other := d.dialTLS()
	other.ask("/")
	other.answer(1)
}

// TestMoveTLSCurl has curl, whose transfers share one connection, ask before
// and after a move.
func TestMoveTLSCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is missing")
	}
	d := startMovingTLS(t, "tcp")
	until := "https://" + d.address + "/?until=go"
	cmd := exec.Command("curl", "-sk", "--http1.1", "--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256",
		"-w", "connects %{num_connects}\\n", until, "https://"+d.address+"/", "https://"+d.address+"/")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.eventually("the request", func() bool { return d.status().Requests == 1 })
	d.reload()
	d.put("go", "")
	if err := cmd.Wait(); err != nil {
		t.Errorf("curl: %v", err)
	}
	if got := strings.Count(out.String(), "hello from"); got != 3 || strings.Count(out.String(), "connects 0") != 2 {
		t.Errorf("curl says\n%s", out.String())
	}
}
