package main

import (
	"context"
	"net"
	"path"
	"path/filepath"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
	"github.com/heirloom-go/heirloom/tools/compare/hello"
)

// A protocol is what clients speak.
type protocol int

// HTTP/1.1 without TLS, or over TLS 1.3, and HTTP/2 over TLS 1.3.
const (
	plain protocol = iota
	overTLS
	overHTTP2 // see h2Line
)

// on has clients speak HTTP/1.1 over a connection, which it closes if it fails.
func (p protocol) on(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if p == plain {
		return conn, nil
	}
	return loadtest.OverTLS(func(context.Context, string, string) (net.Conn, error) { return conn, nil })(ctx, "", "")
}

// certificateFile is where services find their certificate, with its key.
const certificateFile = "/etc/hello.pem"

// secured is the path of a contender's program that can speak TLS.
func (w *workshop) secured(c contender) string {
	if c.secure == "" {
		return w.program(c, versions[0])
	}
	return filepath.Join(w.dir, c.unit+"-secure")
}

// buildSecured builds it where it is another one.
func (w *workshop) buildSecured(ctx context.Context, c contender) error {
	if c.secure == "" {
		return nil
	}
	return w.goBuild(ctx, peers, w.secured(c), "-ldflags", "-s -w -X main.version="+versions[0], c.secure)
}

// configure tells the installed service whether to speak TLS.
func (t *turn) configure(ctx context.Context) error {
	dropIn := path.Join("/etc/systemd/system", t.service()+".d", "tls.conf")
	if !t.isSecure() {
		return t.run(ctx, "rm", "-f", dropIn)
	}
	t.machine.Install(t.shop.secured(t.contender), t.program())
	certificate, key := selfsigned.PEM(selfsigned.New())
	t.machine.WriteFile(certificateFile, certificate+key, 0o644) // no secret, and services have users
	t.machine.WriteFile(dropIn, "[Service]\nEnvironment="+hello.CertificateVariable+"="+certificateFile+"\n", 0o644)
	if !t.isDebian() {
		return nil
	}
	config, err := unitFiles.ReadFile(path.Join("contenders", t.unit, t.unit+".tls.conf.in"))
	if err != nil {
		return err
	}
	t.machine.WriteFile(t.configFile(), string(config), 0o644)
	return nil
}
