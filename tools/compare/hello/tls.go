package hello

import (
	"crypto/tls"
	"net"
	"net/http"
	"os"
)

// CertificateVariable is in the environment of a service that is to speak TLS:
// the path of a file with its certificate and key.
const CertificateVariable = "HELLO_CERTIFICATE"

// Certificate is the path of that file; empty if there is to be no TLS.
func Certificate() string { return os.Getenv(CertificateVariable) }

// Serve is one of the methods Serve and ServeTLS of the server.
func Serve(server *http.Server, listener net.Listener) error {
	if file := Certificate(); file != "" {
		return server.ServeTLS(listener, file, file)
	}
	return server.Serve(listener)
}

// TLSConfig is for libraries that call no ServeTLS, which would add HTTP/2 by
// itself. It is nil if there is to be no TLS.
func TLSConfig() (*tls.Config, error) {
	file := Certificate()
	if file == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(file, file)
	return &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}}, err
}
