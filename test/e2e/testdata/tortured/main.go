// Tortured is examples/hello with what hostile clients need: TLS on a second
// socket, and a response without an end.
//
//	tortured
//	tortured reload | status [-json]
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

func main() {
	options := lifecycle.Options{
		Name:    "hello",
		Version: version,
		Logger:  hclog.New(&hclog.LoggerOptions{Name: "hello"}),
	}
	run := serve
	if len(os.Args) > 1 {
		run = command
	}
	if err := run(options); err != nil {
		fmt.Fprintln(os.Stderr, "tortured:", err)
		os.Exit(1)
	}
}

func command(options lifecycle.Options) error {
	return lifecycle.Command(context.Background(), options, os.Args[1:], os.Stdout)
}

func serve(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	certificate, err := selfSigned()
	if err != nil {
		return service.Fail(err)
	}
	for name, config := range map[string]*tls.Config{"http": nil, "https": {Certificates: []tls.Certificate{certificate}}} {
		listener, err := service.Listen(name, "tcp", "127.0.0.1:0") // systemd's
		if err != nil {
			return err
		}
		server := &http.Server{Handler: handler(service.Generation()), TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0)}
		if err := service.HTTP(listener, server); err != nil {
			return err
		}
	}
	return service.Run(context.Background())
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// handler answers like the one of examples/hello.
func handler(generation int) http.Handler {
	hello := fmt.Sprintf("hello from generation %d (pid %d, version %s)", generation, os.Getpid(), version)
	mux := http.NewServeMux()
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		page := make([]byte, 64<<10)
		for err := error(nil); err == nil; {
			_, err = w.Write(page)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
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
	return mux
}
