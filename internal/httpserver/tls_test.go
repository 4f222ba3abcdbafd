package httpserver_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/httpserver"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
)

// TestSessionConfig offers the protocols that ServeTLS of net/http would.
func TestSessionConfig(t *testing.T) {
	only := func(http1, http2 bool) *http.Protocols {
		p := new(http.Protocols)
		p.SetHTTP1(http1)
		p.SetHTTP2(http2)
		return p
	}
	for name, test := range map[string]struct {
		given *http.Server
		want  []string
	}{
		"by default":  {&http.Server{}, []string{"h2", "http/1.1"}},
		"HTTP/1 only": {&http.Server{Protocols: only(true, false)}, []string{"http/1.1"}},
		"without HTTP/2, as it was": {&http.Server{
			TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		}, []string{"http/1.1"}},
	} {
		test.given.TLSConfig = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }}
		s, _ := prepare(&httpserver.Shared{Requests: context.Background(), MoveTLS: true, Log: hclog.NewNullLogger()}, test.given, conntrack.NewMovedListener(&net.TCPAddr{}))
		if s.Kind != conntrack.HTTPS {
			t.Errorf("%s: its connections do not move", name)
		}
		config, err := s.SessionConfig()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		slices.Sort(config.NextProtos)
		if !slices.Equal(config.NextProtos, test.want) {
			t.Errorf("%s: it offers %q, want %q", name, config.NextProtos, test.want)
		}
	}
}

// TestHandshakes has one goroutine make handshakes one after the other, and
// others where many are under way at a time. None is left.
func TestHandshakes(t *testing.T) {
	leakcheck.Check(t)
	const many = 50 // more than ever wait for another one
	makers := make(chan string, many)
	together := make(chan struct{})
	var atOnce atomic.Bool
	given := &http.Server{
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{selfsigned.New()},
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				goroutine, _, _ := strings.Cut(string(debug.Stack()), "[")
				makers <- goroutine
				if atOnce.Load() {
					<-together
				}
				return nil, nil
			},
		},
		Handler: http.NotFoundHandler(),
	}
	s, l := start(t, &httpserver.Shared{Requests: t.Context(), MoveTLS: true, Log: hclog.NewNullLogger()}, given)
	var arrived sync.WaitGroup
	arrived.Go(s.ServeArrived)
	t.Cleanup(func() {
		s.Close()
		arrived.Wait()
	})
	ask := func() error {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr().String())
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
	last := ""
	if !patience.Until(time.Minute, func() bool {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		before := last
		last = <-makers
		return last == before
	}) {
		t.Error("each handshake has a goroutine of its own")
	}
	atOnce.Store(true)
	var clients sync.WaitGroup
	for range many {
		clients.Go(func() {
			if err := ask(); err != nil {
				t.Error(err)
			}
		})
	}
	if !patience.Until(time.Minute, func() bool { return len(makers) == many }) {
		t.Errorf("%d handshakes are under way, want %d", len(makers), many)
	}
	close(together)
	clients.Wait()
}
