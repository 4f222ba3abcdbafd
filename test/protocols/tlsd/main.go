// Tlsd serves HTTP over TLS, and has the connections of HTTP/1.1 move.
//
//	tlsd -cert FILE -key FILE
//	tlsd reload | status [-json]
//
// Each address is that of the loopback interface:
//
//	8080  HTTP/1.1                                       named http
//	8443  HTTPS with HTTP/1.1                            named https
//	8444  the same, and every client has to say hello    named retried
//	      again, for a group that it does not try first
//	8445  the same for clients that have a certificate   named mutual
//	8446  HTTPS with HTTP/2 alone                        named h2
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

func main() {
	certFile := flag.String("cert", "", "file with the certificate, which also signs those of clients")
	keyFile := flag.String("key", "", "file with its key")
	flag.Parse()
	options := lifecycle.Options{
		Name:          "tlsd",
		Logger:        hclog.New(&hclog.LoggerOptions{Name: "tlsd"}),
		MoveTLS:       true,
		ReloadTimeout: 2 * time.Minute, // only to end what hangs
	}
	os.Exit(lifecycle.Main(options, flag.Args(), func(service *lifecycle.Service) error {
		return serve(service, *certFile, *keyFile)
	}))
}

func serve(service *lifecycle.Service, certFile, keyFile string) error {
	d := &daemon{service: service, stopped: map[string]bool{}}
	config, clients, err := d.configure(certFile, keyFile)
	if err != nil {
		return err
	}
	retried, mutual := config.Clone(), config.Clone()
	retried.CurvePreferences = []tls.CurveID{tls.CurveP384}
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, clients
	http1, http2 := new(http.Protocols), new(http.Protocols)
	http1.SetHTTP1(true)
	http2.SetHTTP2(true)
	for _, l := range []struct {
		name, address string
		server        *http.Server
	}{
		{"http", "127.0.0.1:8080", &http.Server{}},
		{"https", "127.0.0.1:8443", &http.Server{TLSConfig: config, Protocols: http1}},
		{"retried", "127.0.0.1:8444", &http.Server{TLSConfig: retried, Protocols: http1}},
		{"mutual", "127.0.0.1:8445", &http.Server{TLSConfig: mutual, Protocols: http1}},
		{"h2", "127.0.0.1:8446", &http.Server{TLSConfig: config.Clone(), Protocols: http2}},
	} {
		listener, err := service.Listen(l.name, "tcp", l.address)
		if err != nil {
			return err
		}
		l.server.Handler = d.handler()
		if err := service.HTTP(listener, l.server); err != nil {
			return err
		}
	}
	return nil
}

// configure reads the certificate. All generations have the same ticket keys.
func (d *daemon) configure(certFile, keyFile string) (*tls.Config, *x509.CertPool, error) {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, nil, err
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, nil, err
	}
	clients := x509.NewCertPool()
	clients.AddCert(cert.Leaf)
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	config.SetSessionTicketKeys([][32]byte{sha256.Sum256(key)})
	// Each handshake calls one of these once, and a session that arrives none.
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		d.handshakes.Add(1)
		return &cert, nil
	}
	config.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		session, err := config.DecryptTicket(ticket, state)
		if session != nil {
			d.resumptions.Add(1)
		}
		return session, err
	}
	return config, clients, nil
}
