package tlsmove_test

import (
	"crypto/tls"
	"strings"
	"testing"
)

// TestMoveHTTP has a client of Go ask before, between and after moves, and finds
// its session the same. The last of the bodies leave no small record behind.
func TestMoveHTTP(t *testing.T) {
	for name, change := range map[string]func(server, client *tls.Config, a *authority){
		"plain": func(_, _ *tls.Config, _ *authority) {},
		"client certificate": func(server, client *tls.Config, a *authority) {
			server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, a.pool
			client.Certificates = []tls.Certificate{a.issue("customer")}
		},
		"HelloRetryRequest": func(server, client *tls.Config, _ *authority) {
			server.CurvePreferences = []tls.CurveID{tls.CurveP384}
			client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP384}
		},
		"no tickets": func(server, _ *tls.Config, _ *authority) { server.SessionTicketsDisabled = true },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t)
			server, clientConfig := a.serverConfig(), a.clientConfig()
			change(server, clientConfig, a)
			s := newSite(t, server, echo)
			c := dial(t, s, clientConfig)
			before := c.ask(t, "hello")
			s.moving.Store(true)
			for i, body := range []string{"", "5 byt", "x", strings.Repeat("y", 300<<10), "z", strings.Repeat("y", 16000), strings.Repeat("w", 1500)} {
				if got := c.ask(t, body); got != before {
					t.Errorf("request %d: session %s, was %s", i, got, before)
				}
				s.awaitMove(t)
			}
			if n := s.moved.Load(); n < 7 || s.accepted.Load() != 1 {
				t.Errorf("%d moves of %d connections; refused: %v", n, s.accepted.Load(), s.reasons)
			}
		})
	}
}

// TestMoveNew moves connections of which no request has come.
func TestMoveNew(t *testing.T) {
	a := newAuthority(t)
	s := newSite(t, a.serverConfig(), echo)
	s.moving.Store(true)
	config := a.clientConfig()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for _, resumed := range []bool{false, true} {
		c := dial(t, s, config)
		if got := c.ask(t, "hello"); !strings.Contains(got, "resumed="+map[bool]string{true: "true", false: "false"}[resumed]) {
			t.Errorf("session %s", got)
		}
		s.awaitMove(t) // new, or used once if the first request was faster
	}
	if s.moved.Load() < 2 {
		t.Errorf("%d moves; refused: %v", s.moved.Load(), s.reasons)
	}
}

// TestMoveNewCertificate moves a connection of which no request has come, and
// whose client has a certificate: it is in the ticket, which is a long record.
func TestMoveNewCertificate(t *testing.T) {
	a := newAuthority(t)
	server, client := a.serverConfig(), a.clientConfig()
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, a.pool
	client.Certificates = []tls.Certificate{a.issue("customer")}
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1) // it asks for a ticket
	s := newSite(t, server, echo)
	s.moving.Store(true)
	c := dial(t, s, client)
	s.awaitMove(t)
	c.ask(t, "hello")
}

// TestMoveLong moves connections whose records are all too long to be kept.
func TestMoveLong(t *testing.T) {
	for _, size := range []int{600, 1024, 5000} {
		a := newAuthority(t)
		s := newSite(t, a.serverConfig(), echo)
		c := dial(t, s, a.clientConfig())
		c.ask(t, strings.Repeat("x", size))
		s.moving.Store(true)
		for range 3 {
			c.ask(t, strings.Repeat("x", size))
			s.awaitMove(t)
		}
	}
}
