package protocols_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

// daemon, tlsd and fasthttpProgram are the paths of the programs under test,
// certificate and key what they serve TLS with, in PEM. All tests share them.
var (
	daemon, tlsd     string
	fasthttpProgram  string
	certificate, key []byte
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "heirloom-protocols-")
	if err == nil {
		defer os.RemoveAll(dir)
		daemon, tlsd, fasthttpProgram = filepath.Join(dir, "daemon"), filepath.Join(dir, "tlsd"), filepath.Join(dir, "fasthttpd")
		err = build(dir)
	}
	if err == nil {
		certificate, key, err = newCertificate()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return leakcheck.Run(m.Run)
}

func build(dir string) error {
	cmd := exec.Command("go", "build", "-o", dir, "./daemon", "./tlsd", "./fasthttpd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // for the roots with another libc
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the daemons: %w\n%s", err, out)
	}
	return nil
}

// newCertificate makes a certificate for 127.0.0.1 that signs itself.
func newCertificate() (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "heirloom"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}
