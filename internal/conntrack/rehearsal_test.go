package conntrack_test

import (
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
)

// rehearsedServers have the time limits that make net/http set other deadlines.
func rehearsedServers() map[string]*http.Server {
	both, h2c := new(http.Protocols), new(http.Protocols)
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	h2c.SetUnencryptedHTTP2(true)
	return map[string]*http.Server{
		"no limits":    {},
		"header limit": {ReadHeaderTimeout: time.Minute},
		"idle limit":   {IdleTimeout: time.Minute},
		"read limit":   {ReadTimeout: time.Minute},
		"write limit":  {WriteTimeout: time.Minute},
		"all limits":   {ReadHeaderTimeout: time.Minute, ReadTimeout: time.Hour, WriteTimeout: time.Hour, IdleTimeout: time.Hour},
		"two versions": {Protocols: both},
		"HTTP/2 only":  {Protocols: h2c},
	}
}

// TestRehearsal checks that this Go release behaves as connections that move
// need it.
func TestRehearsal(t *testing.T) {
	for name, server := range rehearsedServers() {
		t.Run(name, func(t *testing.T) {
			if err := conntrack.Rehearse(server, asItIs); err != nil {
				t.Error(err)
			}
		})
	}
}

func asItIs(c *conntrack.Rehearsed) net.Conn { return c }

// A deviant is a connection to a net/http that is another one.
type deviant struct {
	*conntrack.Rehearsed
	deadline func(c *conntrack.Rehearsed, t time.Time) error
	read     func(c *conntrack.Rehearsed, p []byte) (int, error)
}

func (d *deviant) SetReadDeadline(t time.Time) error {
	if d.deadline == nil {
		return d.Rehearsed.SetReadDeadline(t)
	}
	return d.deadline(d.Rehearsed, t)
}

func (d *deviant) Read(p []byte) (int, error) {
	if d.read == nil {
		return d.Rehearsed.Read(p)
	}
	return d.read(d.Rehearsed, p)
}

// from sets, when a connection is idle, the deadlines from the first to the
// last.
func from(first, last int) deviant {
	n := 0
	return deviant{deadline: func(c *conntrack.Rehearsed, t time.Time) error {
		if c.State() != http.StateIdle {
			n = 0
		} else if n++; n < first || n > last {
			return nil
		}
		return c.SetReadDeadline(t)
	}}
}

// twice sets each deadline twice when a connection is idle.
func twice(c *conntrack.Rehearsed, t time.Time) error {
	if c.State() == http.StateIdle {
		_ = c.SetReadDeadline(t)
	}
	return c.SetReadDeadline(t)
}

// inPieces reads less at a time.
func inPieces(c *conntrack.Rehearsed, p []byte) (int, error) {
	return c.Read(p[:min(len(p), 2048)])
}

// withTimeout answers a client whose time is over, as RFC 9110 lets a server.
func withTimeout(c *conntrack.Rehearsed, p []byte) (int, error) {
	n, err := c.Read(p)
	if err != nil && c.HasLeft() {
		_, _ = c.Write([]byte("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"))
	}
	return n, err
}

// TestRehearsalFails checks that a net/http which does anything else is found
// out, whatever the server's time limits.
func TestRehearsalFails(t *testing.T) {
	others := map[string]func() deviant{
		"no deadline before it waits":   func() deviant { return from(2, 9) },
		"no deadline before it parses":  func() deviant { return from(1, 1) },
		"two deadlines before it waits": func() deviant { return deviant{deadline: twice} },
		"another buffer":                func() deviant { return deviant{read: inPieces} },
		"a word at the end":             func() deviant { return deviant{read: withTimeout} },
	}
	for limits, server := range rehearsedServers() {
		if limits == "HTTP/2 only" {
			continue
		}
		for name, other := range others {
			t.Run(limits+"/"+name, func(t *testing.T) {
				err := conntrack.Rehearse(server, func(c *conntrack.Rehearsed) net.Conn {
					d := other()
					d.Rehearsed = c
					return &d
				})
				t.Log(err)
				if err == nil {
					t.Error("the rehearsal has not noticed")
				}
			})
		}
	}
}

func BenchmarkRehearsal(b *testing.B) {
	for b.Loop() {
		if err := conntrack.Rehearse(&http.Server{}, asItIs); err != nil {
			b.Fatal(err)
		}
	}
}
