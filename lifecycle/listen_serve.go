package lifecycle

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/heirloom-go/heirloom/internal/certificate"
)

// The names of the listeners of ListenAndServe and ListenAndServeTLS, and the
// ports of an http.Server without an Addr.
const (
	httpName, httpsName = "http", "https"
	httpPort, httpsPort = ":http", ":https"
)

// ListenAndServe is what a program calls instead of the method of that name of
// its http.Server, if that is all it serves. It is [Service.Listen] for the
// name http and the address server.Addr, [Service.HTTP] and [Service.Run],
// whose error it returns. So it returns nil when the process has been replaced
// or stopped, and all its work is done.
func (s *Service) ListenAndServe(server *http.Server) error {
	listener, err := s.Listen(httpName, "tcp", cmp.Or(server.Addr, httpPort))
	if err != nil {
		return err
	}
	if err := s.HTTP(listener, server); err != nil {
		return err
	}
	return s.Run(context.Background())
}

// ListenAndServeTLS is [Service.ListenAndServe] with TLS, for the name https.
// It calls [Service.HTTPS], which says how the certificate is renewed.
func (s *Service) ListenAndServeTLS(server *http.Server, certFile, keyFile string) error {
	listener, err := s.Listen(httpsName, "tcp", cmp.Or(server.Addr, httpsPort))
	if err != nil {
		return err
	}
	if err := s.HTTPS(listener, server, certFile, keyFile); err != nil {
		return err
	}
	return s.Run(context.Background())
}

// HTTPS is [Service.HTTP] with a certificate and its key from files in PEM, as
// ServeTLS of an http.Server reads them: certFile has the server's certificate
// first, and then those that certify it. server.TLSConfig, which may be nil, is
// replaced by a copy with that certificate.
//
// Each process reads the files when it calls HTTPS. So a certificate that was
// renewed is shown after a reload, and the connections there are go on. If the
// files cannot be used the reload fails with an error that names them and
// matches [ErrCertificate], and the predecessor shows the old one. In place
// there is no predecessor: there [Options].DryRun finds it in time. A
// certificate that has expired is a warning.
func (s *Service) HTTPS(listener net.Listener, server *http.Server, certFile, keyFile string) error {
	c, err := certificate.Read(certFile, keyFile)
	if err != nil {
		return s.Fail(fmt.Errorf("serve HTTPS on %s: %w", listener.Addr(), err))
	}
	certificate.Warn(c, certFile, time.Now(), s.log)
	config := server.TLSConfig.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	config.Certificates = []tls.Certificate{c}
	server.TLSConfig = config
	return s.HTTP(listener, server)
}
