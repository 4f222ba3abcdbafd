package httpserver_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/httpserver"
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
