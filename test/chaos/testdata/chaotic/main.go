// Chaotic is examples/hello on two sockets, http and https, with a log in the
// StateDirectory, log.PID, of what each connection does. While the
// RuntimeDirectory has a file named hold-start, no process gets ready, and one
// that started while there was a file named in-place is replaced in place.
//
// It is built of older trees as well, so it uses no helpers of the tests: those
// may be younger.
//
//	chaotic
//	chaotic reload | status [-json]
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

func main() {
	options := lifecycle.Options{
		Name:          "hello",
		Version:       version,
		Logger:        hclog.New(&hclog.LoggerOptions{Name: "hello", Level: hclog.Debug}),
		MoveTLS:       true,
		ReloadTimeout: time.Minute, // only to end what hangs: the driver holds up a start for some commands
	}
	if _, err := os.Stat(runtimeFile("in-place")); err == nil {
		options.ReloadMode = lifecycle.Exec
	}
	os.Exit(lifecycle.Main(options, os.Args[1:], serve))
}

func runtimeFile(name string) string {
	return filepath.Join(os.Getenv("RUNTIME_DIRECTORY"), name)
}

func serve(service *lifecycle.Service) error {
	config, err := selfSigned()
	if err != nil {
		return err
	}
	path := filepath.Join(os.Getenv("STATE_DIRECTORY"), fmt.Sprint("log.", os.Getpid()))
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	for name, config := range map[string]*tls.Config{"http": nil, "https": config} {
		listener, err := service.Listen(name, "tcp", "127.0.0.1:0") // systemd's
		if err != nil {
			return err
		}
		socket := map[string]string{"https": "https/"}[name] // a client may have one port for both
		note := func(nc net.Conn, state http.ConnState) { fmt.Fprintf(log, "%s%v %v\n", socket, nc.RemoteAddr(), state) }
		server := &http.Server{Handler: handler(service.Generation()), TLSConfig: config, ConnState: note}
		if err := service.HTTP(listener, server); err != nil {
			return err
		}
	}
	for held := runtimeFile("hold-start"); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(held); err != nil {
			return nil
		}
	}
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
