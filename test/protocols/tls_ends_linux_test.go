package protocols_test

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

//go:embed testdata/asker.py
var askerProgram string

// TestTLSEnds has OpenSSL, in two programs, see how connections end: what a
// client is told of a record that is wrong, that a close_notify comes and is
// answered, and that what is cut off is not taken for whole, by either side.
// Before a move that is what crypto/tls does, and after it has to be the same.
// Systemd has no part in it.
func TestTLSEnds(t *testing.T) {
	need(t, "openssl", "/usr/bin/python3")
	for _, v := range newest() {
		t.Run(v.String(), func(t *testing.T) {
			e := &ends{newTLSSite(t, v), 1}
			t.Run("alerts", e.testAlerts)
			t.Run("close", e.testClose)
			t.Run("upload", e.testUpload)
			t.Run("answered", e.testAnswered)
			t.Run("abort", e.testAbort)
			t.Run("kill", e.testKill)
		})
	}
}

// Ends are a service whose connections end.
type ends struct {
	*tlsSite
	generation int
}

// reload has what is at rest move.
func (e *ends) reload() {
	e.t.Helper()
	e.generation++
	e.machine.MustRun("systemctl", "reload", "tlsd.service")
	e.machine.Wait("the predecessor to end", func() bool { return len(e.machine.Processes("tlsd.service")) == 1 })
}

// A cutter is between a client and the service.
type cutter struct {
	listener        net.Listener
	mu              sync.Mutex
	client, service *net.TCPConn // the last
	copying         sync.WaitGroup
}

func (e *ends) startCutter(t *testing.T) *cutter {
	t.Helper()
	c := &cutter{}
	err := e.machine.Inside(func() (err error) {
		c.listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c.copying.Go(func() {
		for {
			client, err := c.listener.Accept()
			if err != nil {
				return
			}
			service, err := e.machine.Dial(t.Context(), "tcp", straight.address())
			if err != nil {
				_ = client.Close()
				continue
			}
			c.mu.Lock()
			c.client, c.service = client.(*net.TCPConn), service.(*net.TCPConn)
			c.mu.Unlock()
			c.join(c.client, c.service)
			c.join(c.service, c.client)
		}
	})
	t.Cleanup(func() {
		_ = c.listener.Close()
		for _, nc := range []net.Conn{c.client, c.service} {
			if nc != (*net.TCPConn)(nil) {
				_ = nc.Close()
			}
		}
		c.copying.Wait()
	})
	return c
}

func (c *cutter) join(to, from *net.TCPConn) {
	c.copying.Go(func() {
		_, _ = io.Copy(to, from)
		_ = to.CloseWrite()
	})
}

// toService is the last connection's.
func (c *cutter) toService() *net.TCPConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.service
}

// openTalk is s_client that has had an answer, before or after a move.
func (e *ends) openTalk(t *testing.T, address string, moved bool, args ...string) *talk {
	t.Helper()
	args = append([]string{"s_client", "-connect", address, "-tls1_3", "-CAfile", e.cacert, "-verify_return_error"}, args...)
	keepThread(t)
	talk, err := startTalk(e.command(limited(t), "openssl", args...))
	if err == nil {
		err = talk.ask("/", false)
	}
	if err == nil && moved {
		e.reload()
		err = talk.ask("/", false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return talk
}

// limited ends when a program does not end that should.
func limited(t *testing.T) context.Context {
	ctx, cancel := patience.Context(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// keepThread has the test keep its thread: see startTalk.
func keepThread(t *testing.T) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
}

// bothTimes calls f for a connection that has not moved, and for one that has.
func bothTimes[T comparable](t *testing.T, f func(moved bool) T) T {
	t.Helper()
	before, after := f(false), f(true)
	if before != after {
		t.Errorf("%v before a move, and %v after it", before, after)
	}
	return after
}

var alertNumber = regexp.MustCompile(`SSL alert number (\d+)`)

const (
	unexpected = "10" // unexpected_message
	badMAC     = "20" // bad_record_mac
	overflow   = "22" // record_overflow
)

// testAlerts sends records that no client sends. The alerts after a move are
// those of RFC 8446 (5 and 5.2). Before it crypto/tls has others of its own for
// records of a type that is not expected.
func (e *ends) testAlerts(t *testing.T) {
	for _, fault := range []struct{ name, record, before, after string }{
		{"forged", "\x17\x03\x03\x00\x20" + strings.Repeat("x", 32), badMAC, badMAC},
		{"short", "\x17\x03\x03\x00\x05" + strings.Repeat("x", 5), badMAC, badMAC},
		{"long", "\x17\x03\x03\xff\xff", overflow, overflow},
		{"in the clear", "\x16\x03\x03\x00\x04\x00\x00\x00\x00", badMAC, unexpected},
		{"alert in the clear", "\x15\x03\x03\x00\x02\x02\x28", badMAC, unexpected},
		{"unknown", "\x63\x03\x03\x00\x01x", badMAC, unexpected},
		{"empty change_cipher_spec", "\x14\x03\x03\x00\x00", "50", unexpected},                   // decode_error
		{"without TLS", "GET / HTTP/1.1\r\n\r\n" + strings.Repeat("x", 20000), "70", unexpected}, // protocol_version
	} {
		t.Run(fault.name, func(t *testing.T) {
			if got := e.alert(t, fault.record, false); got != fault.before {
				t.Errorf("the alert before a move is %s, want %s", got, fault.before)
			}
			if got := e.alert(t, fault.record, true); got != fault.after {
				t.Errorf("the alert after a move is %s, want %s", got, fault.after)
			}
		})
	}
}

// alert returns the number that s_client is told after a record.
func (e *ends) alert(t *testing.T, record string, moved bool) string {
	t.Helper()
	c := e.startCutter(t)
	talk := e.openTalk(t, c.listener.Addr().String(), moved)
	if _, err := io.WriteString(c.toService(), record); err != nil {
		t.Error(err)
	}
	out, _ := io.ReadAll(talk.out)
	_, _ = talk.end()
	if found := alertNumber.FindStringSubmatch(string(out)); found != nil {
		return found[1]
	}
	return string(out)
}

// testClose has the service close by a close_notify.
func (e *ends) testClose(t *testing.T) {
	const notify = "<<< TLS 1.3, Alert [length 0002], warning close_notify"
	told := bothTimes(t, func(moved bool) string {
		talk := e.openTalk(t, straight.address(), moved, "-msg")
		if _, err := io.WriteString(talk.in, "GET /?last HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
			t.Error(err)
		}
		out, _ := io.ReadAll(talk.out)
		_, _ = talk.end()
		return fmt.Sprintf("%d, closed %t", strings.Count(string(out), notify), strings.Contains(string(out), "\nclosed\n"))
	})
	if told != "1, closed true" {
		t.Errorf("the service closes by close_notify: %s", told)
	}
}

// testUpload cuts the client's direction, without a close_notify, in mid
// upload. The handler is told, and does not take what came for all.
func (e *ends) testUpload(t *testing.T) {
	ended := bothTimes(t, func(moved bool) bool {
		c := e.startCutter(t)
		talk := e.openTalk(t, c.listener.Addr().String(), moved)
		name := fmt.Sprintf("cut-%t", moved)
		err := talk.say("POST /upload?c="+name+" HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n", "begun")
		if err == nil {
			err = c.toService().CloseWrite()
		}
		if err != nil {
			t.Fatal(err)
		}
		failure := ""
		e.machine.Wait("the upload to end", func() bool {
			r, err := e.report()
			failure = r.Failures[name]
			return err == nil && failure != ""
		})
		_, _ = talk.end()
		return strings.HasSuffix(failure, "unexpected EOF")
	})
	if !ended {
		t.Error("the handler takes what came for a whole upload")
	}
}

// openAsker is a program of Python that has had an answer, before or after a
// move.
func (e *ends) openAsker(t *testing.T, moved bool) *talk {
	t.Helper()
	keepThread(t)
	asker, err := startTalk(e.command(limited(t), "/usr/bin/python3", "-c", askerProgram, e.cacert, straight.address()))
	if err == nil {
		err = asker.say("/\n", "whole 200")
	}
	if err == nil && moved {
		e.reload()
		err = asker.say("/\n", "whole 200")
	}
	if err != nil {
		t.Fatal(err)
	}
	return asker
}

// testAnswered has the client close by a close_notify, which it wants answered.
func (e *ends) testAnswered(t *testing.T) {
	for _, moved := range []bool{false, true} {
		asker := e.openAsker(t, moved)
		if err := asker.say("close\n", "answered"); err != nil {
			t.Errorf("moved %t: %v", moved, err)
		}
		if out, err := asker.end(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// testAbort has a handler break off its answer. The client knows.
func (e *ends) testAbort(t *testing.T) {
	for _, moved := range []bool{false, true} {
		asker := e.openAsker(t, moved)
		if err := asker.say("/abort\n", "broken IncompleteRead"); err != nil {
			t.Errorf("moved %t: %v", moved, err)
		}
		_, _ = asker.end()
	}
}

// testKill kills the process: no client takes that for the end of an answer.
func (e *ends) testKill(t *testing.T) {
	moved := e.openTalk(t, straight.address(), true)
	fresh := e.openTalk(t, straight.address(), false)
	e.machine.Kill(e.machine.Processes("tlsd.service")[0].PID, syscall.SIGKILL)
	for _, talk := range []*talk{fresh, moved} {
		if out, err := talk.until("unexpected eof while reading"); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		_, _ = talk.end()
	}
}
