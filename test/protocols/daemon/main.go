// Daemon serves all that a daemon may serve, in one process.
//
//	daemon -cert FILE -key FILE [-linger DURATION]
//	daemon reload | status [-json]
//
// Each address is that of the loopback interface:
//
//	8080  HTTP/1.1                    named http
//	8081  HTTP/1.1 and HTTP/2         named h2c
//	8443  the same over TLS           named https
//	9090  gRPC                        named grpc
//	9443  gRPC over TLS               named grpcs
//	7000  lines, each echoed          named lines
//	7001  datagrams, each echoed      named datagrams
package main

import (
	"crypto/tls"
	"flag"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

func main() {
	cert := flag.String("cert", "", "file with the certificate")
	key := flag.String("key", "", "file with its key")
	linger := flag.Duration("linger", 0, "lifecycle.Options.Linger")
	flag.Parse()
	options := lifecycle.Options{
		Name:          "daemon",
		Logger:        hclog.New(&hclog.LoggerOptions{Name: "daemon"}),
		Linger:        *linger,
		ReloadTimeout: 2 * time.Minute, // only to end what hangs
	}
	os.Exit(lifecycle.Main(options, flag.Args(), func(service *lifecycle.Service) error {
		return serve(service, *cert, *key)
	}))
}

func serve(service *lifecycle.Service, certFile, keyFile string) error {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return err
	}
	d := &daemon{service: service, tls: &tls.Config{Certificates: []tls.Certificate{cert}}}
	for _, s := range []func() error{
		d.serveHTTP, d.serveH2C, d.serveHTTPS, d.serveGRPC, d.serveGRPCS, d.serveLines, d.serveDatagrams,
	} {
		if err := s(); err != nil {
			return err
		}
	}
	return nil
}

// A daemon is one generation of the service.
type daemon struct {
	service *lifecycle.Service
	tls     *tls.Config
	seen    register
}

func (d *daemon) serveHTTP() error { return d.web("http", "127.0.0.1:8080", &http.Server{}) }

func (d *daemon) serveHTTPS() error {
	return d.web("https", "127.0.0.1:8443", &http.Server{TLSConfig: d.tls.Clone()})
}

func (d *daemon) serveH2C() error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return d.web("h2c", "127.0.0.1:8081", &http.Server{Protocols: protocols})
}

func (d *daemon) web(name, address string, server *http.Server) error {
	listener, err := d.service.Listen(name, "tcp", address)
	if err != nil {
		return err
	}
	server.Handler = d.handler()
	if err := d.service.HTTP(listener, server); err != nil {
		return err
	}
	return d.service.ServeHijacked(listener, d.echoFrames)
}
