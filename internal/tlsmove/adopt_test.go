package tlsmove

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
)

// newCertificate returns one for clients that signs itself, and a pool of it.
func newCertificate(ends time.Time) ([]byte, *x509.CertPool) {
	cert := selfsigned.New(func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = ends.Add(-time.Hour), ends
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	return cert.Certificate[0], pool
}

// TestAdoptDecides adopts a session under configurations that would accept it,
// and under those that would not.
func TestAdoptDecides(t *testing.T) {
	der, pool := newCertificate(time.Now().Add(time.Hour))
	_, otherPool := newCertificate(time.Now().Add(time.Hour))
	no := errors.New("no")
	requiring := func(p *x509.CertPool) *tls.Config {
		return &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: p}
	}
	for _, v := range []struct {
		name   string
		certs  [][]byte
		config func() *tls.Config
		ok     bool
	}{
		{"anything", nil, func() *tls.Config { return &tls.Config{} }, true},
		{"its protocol", nil, func() *tls.Config { return &tls.Config{NextProtos: []string{"h2", "http/1.1"}} }, true},
		{"another protocol", nil, func() *tls.Config { return &tls.Config{NextProtos: []string{"h2"}} }, false},
		{"TLS 1.2", nil, func() *tls.Config { return &tls.Config{MaxVersion: tls.VersionTLS12} }, false},
		{"another group", nil, func() *tls.Config { return &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521}} }, false},
		{"its group", nil, func() *tls.Config { return &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}} }, true},
		{"no certificate where one is required", nil, func() *tls.Config { return requiring(pool) }, false},
		{"any certificate", nil, func() *tls.Config { return &tls.Config{ClientAuth: tls.RequireAnyClientCert} }, false},
		{"a certificate", [][]byte{der}, func() *tls.Config { return requiring(pool) }, true},
		{"of another authority", [][]byte{der}, func() *tls.Config { return requiring(otherPool) }, false},
		{"which is not asked for", [][]byte{der}, func() *tls.Config { return &tls.Config{} }, false},
		{"expired", [][]byte{der}, func() *tls.Config {
			c := requiring(pool)
			c.Time = func() time.Time { return time.Now().Add(24 * time.Hour) }
			return c
		}, false},
		{"of garbage", [][]byte{{1, 2}}, func() *tls.Config { return requiring(pool) }, false},
		{"VerifyPeerCertificate", [][]byte{der}, func() *tls.Config {
			c := requiring(pool)
			c.VerifyPeerCertificate = func(raw [][]byte, chains [][]*x509.Certificate) error {
				if !reflect.DeepEqual(raw, [][]byte{der}) || len(chains) != 1 {
					t.Errorf("it is told %d certificates, %d chains", len(raw), len(chains))
				}
				return no
			}
			return c
		}, false},
		{"VerifyConnection", nil, func() *tls.Config {
			return &tls.Config{VerifyConnection: func(cs tls.ConnectionState) error {
				if cs.ServerName != "site" || !cs.HandshakeComplete || !cs.DidResume {
					t.Errorf("it is told %+v", cs)
				}
				return no
			}}
		}, false},
		{"GetConfigForClient", nil, func() *tls.Config {
			return &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				if hello.ServerName == "site" {
					c := requiring(pool)
					return c, nil
				}
				return nil, nil
			}}
		}, false},
	} {
		t.Run(v.name, func(t *testing.T) {
			client, server := newPair(t, suites[0])
			s := &session{
				suite: suites[0], name: "site", protocol: "http/1.1", curve: uint16(tls.X25519), flags: flagResumed, certs: v.certs,
				in: position{server.adopted.in.secret, 0}, out: position{server.adopted.out.secret, 0},
			}
			config := v.config()
			c, err := Adopt(t.Context(), server.nc, s.encode(), config)
			if !v.ok {
				if ReasonOf(err) != Refused {
					t.Errorf("it returns %v", err)
				}
				if _, err := client.Read(make([]byte, 1)); err == nil || err.Error() != "EOF" {
					t.Errorf("the client is told %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			cs := c.ConnectionState()
			if _, err := cs.ExportKeyingMaterial("label", nil, 32); err == nil {
				t.Error("it exports keys")
			}
			if err := talk(client, c); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAdoptMalformed has states that are none.
func TestAdoptMalformed(t *testing.T) {
	whole := (&session{suite: suites[0], in: position{make([]byte, 32), 0}, out: position{make([]byte, 32), 0}}).encode()
	for n := range whole {
		if _, err := Adopt(t.Context(), nil, append([]byte(nil), whole[:n]...), &tls.Config{}); ReasonOf(err) != Malformed {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	for name, s := range map[string]*session{
		"suite":    {suite: 1, in: position{make([]byte, 32), 0}, out: position{make([]byte, 32), 0}},
		"secret":   {suite: suites[0], in: position{make([]byte, 31), 0}, out: position{make([]byte, 32), 0}},
		"flags":    {suite: suites[0], flags: 0x80, in: position{make([]byte, 32), 0}, out: position{make([]byte, 32), 0}},
		"sequence": {suite: suites[0], in: position{make([]byte, 32), 1 << 63}, out: position{make([]byte, 32), 0}},
	} {
		if _, err := Adopt(t.Context(), nil, s.encode(), &tls.Config{}); ReasonOf(err) != Malformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAdoptFormat has a state of a version to come, and finds nothing else in it.
func TestAdoptFormat(t *testing.T) {
	state := append([]byte{Format + 1}, "what nobody knows yet"...)
	_, err := Adopt(t.Context(), nil, state, &tls.Config{})
	if ReasonOf(err) != OtherFormat || !strings.Contains(err.Error(), "another format: 2, and this process reads 1") {
		t.Errorf("it returns %v", err)
	}
	if bytes.ContainsFunc(state, func(r rune) bool { return r != 0 }) {
		t.Errorf("left behind: %q", state)
	}
}

// TestAdoptContext has a GetConfigForClient that uses its hello as one of a
// handshake: it has a Context, which ends with that of Adopt.
func TestAdoptContext(t *testing.T) {
	type key struct{}
	for _, v := range []struct {
		name string
		wait bool
	}{{"at once", false}, {"until the end", true}} {
		client, server := newPair(t, suites[0])
		s := &session{suite: suites[0], name: "site", in: position{server.adopted.in.secret, 0}, out: position{server.adopted.out.secret, 0}}
		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
		asked, returned := make(chan struct{}), make(chan struct{})
		config := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			defer close(asked)
			if hello.Context().Value(key{}) != "value" || hello.ServerName != "site" || hello.Conn != server.nc || hello.SupportedProtos != nil {
				t.Errorf("%s: it is told %+v", v.name, hello)
			}
			if v.wait {
				cancel(io.ErrNoProgress)
				<-hello.Context().Done()
				<-returned
			}
			return nil, nil
		}}
		c, err := Adopt(ctx, server.nc, s.encode(), config)
		close(returned)
		<-asked
		if v.wait != errors.Is(err, io.ErrNoProgress) && v.wait != (c == nil) {
			t.Errorf("%s: Adopt returns %v", v.name, err)
		}
		if c != nil {
			if err := talk(client, c); err != nil {
				t.Error(err)
			}
		}
		cancel(nil)
	}
}

// TestAdoptPanics has each callback panic: that is of one session.
func TestAdoptPanics(t *testing.T) {
	for name, config := range map[string]*tls.Config{
		"GetConfigForClient":    {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { panic("no comment") }},
		"VerifyPeerCertificate": {ClientAuth: tls.RequestClientCert, VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error { panic("no comment") }},
		"VerifyConnection":      {VerifyConnection: func(tls.ConnectionState) error { panic("no comment") }},
	} {
		client, server := newPair(t, suites[0])
		s := &session{suite: suites[0], in: position{server.adopted.in.secret, 0}, out: position{server.adopted.out.secret, 0}}
		_, err := Adopt(t.Context(), server.nc, s.encode(), config)
		var panicked *PanicError
		if !errors.As(err, &panicked) || panicked.Value != "no comment" || ReasonOf(err) != Refused {
			t.Errorf("%s: Adopt returns %v", name, err)
		}
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: the client is told %v", name, err)
		}
	}
}

// TestReclaim goes on, in the process that exported it, with a session that was
// not sent: with the next number, and with all that is known of it.
func TestReclaim(t *testing.T) {
	client, server := newShaken(t)
	wake(t, server)
	before := server.ConnectionState()
	for range 2 {
		state, err := server.Export()
		if err != nil {
			t.Fatal(err)
		}
		next, err := server.Reclaim(state)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := server.Write([]byte("late")); !errors.Is(err, ErrMoved) {
			t.Errorf("the one that was exported writes: %v", err)
		}
		if _, err := server.Reclaim(state); ReasonOf(err) != Malformed {
			t.Errorf("reclaimed twice: %v", err)
		}
		if err := talk(client, next); err != nil {
			t.Fatal(err)
		}
		server = next
	}
	after := server.ConnectionState()
	if _, err := after.ExportKeyingMaterial("label", nil, 32); err != nil || after.CipherSuite != before.CipherSuite {
		t.Errorf("%v, %+v", err, after)
	}
}
