// Secure is examples/hello over TLS. Its sessions move, except in the version
// "staying".
//
//	secure [-listen ADDRESS]
//	secure reload | status [-json]
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to bind")
	flag.Parse()
	options := lifecycle.Options{
		Name:    "hello",
		Version: version,
		Logger:  hclog.New(&hclog.LoggerOptions{Name: "hello"}),
		Linger:  time.Minute, // clients that are told to close get the time to ask once more
		MoveTLS: version != "staying",
	}
	var err error
	if flag.NArg() > 0 {
		err = lifecycle.Command(context.Background(), options, flag.Args(), os.Stdout)
	} else {
		err = serve(options, *listen)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "secure:", err)
		os.Exit(1)
	}
}

func serve(options lifecycle.Options, address string) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	listener, err := service.Listen("http", "tcp", address)
	if err != nil {
		return err
	}
	config, err := selfSigned()
	if err != nil {
		return service.Fail(err)
	}
	if err := service.HTTP(listener, &http.Server{Handler: handler(service.Generation()), TLSConfig: config}); err != nil {
		return err
	}
	return service.Run(context.Background())
}

func selfSigned() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:   []string{"http/1.1"},
	}, nil
}

// handler answers like the one of examples/hello.
func handler(generation int) http.Handler {
	hello := fmt.Sprintf("hello from generation %d (pid %d, version %s)", generation, os.Getpid(), version)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d, err := time.ParseDuration(r.URL.Query().Get("d")); err == nil {
			time.Sleep(d)
		}
		n, err := io.Copy(io.Discard, r.Body)
		switch {
		case err != nil: // the client has gone
		case r.Method == http.MethodGet:
			fmt.Fprintln(w, hello)
		default:
			fmt.Fprintf(w, "%s read %d bytes\n", hello, n)
		}
	})
}
