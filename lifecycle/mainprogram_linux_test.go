package lifecycle_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// mainProgram is a program whose main is lifecycle.Main. The files bad.txt,
// cert.pem and key.pem in HEIRLOOM_TEST_CONFIG are its configuration.
func mainProgram(args []string) int {
	options, err := environmentOptions()
	if err != nil {
		panic(err)
	}
	options.Logger = nil
	return lifecycle.Main(options, args, func(service *lifecycle.Service) error {
		config := os.Getenv("HEIRLOOM_TEST_CONFIG")
		if reason, err := os.ReadFile(filepath.Join(config, "bad.txt")); err == nil {
			return errors.New(string(reason))
		}
		_, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
		server := &http.Server{Addr: address, Handler: handler(service.Generation())}
		how := os.Getenv("HEIRLOOM_TEST_MAIN")
		if framework, ok := strings.CutPrefix(how, "by "); ok {
			return underFramework(service, framework, server, config)
		}
		switch how {
		case "tls":
			return service.ListenAndServeTLS(server, filepath.Join(config, "cert.pem"), filepath.Join(config, "key.pem"))
		case "without Run":
			listener, err := service.Listen("http", "tcp", server.Addr)
			if err != nil {
				return err
			}
			return service.HTTP(listener, server)
		default:
			return service.ListenAndServe(server)
		}
	})
}

func writeConfig(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// exitStatus is that of a command, -1 if it was not even started.
func exitStatus(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	default:
		return -1
	}
}

// TestMainProgram has lifecycle.Main be all of a daemon: commands, the log, an
// error before Run, and the exit status.
func TestMainProgram(t *testing.T) {
	for _, how := range []string{"ListenAndServe", "without Run"} {
		t.Run(how, func(t *testing.T) {
			config := t.TempDir()
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=main", "HEIRLOOM_TEST_MAIN="+how, "HEIRLOOM_TEST_CONFIG="+config)
			c := d.dial()
			c.ask("/")
			c.answer(1)
			d.reload()
			d.awaitAlone()
			c.ask("/")
			c.answer(2)
			d.eventually("a line on standard error", func() bool { // which may come after the answer
				return strings.Contains(d.logged(), "[INFO]  daemon: ready: generation=2")
			})

			const reason = "the configuration is bad"
			writeConfig(t, config, "bad.txt", reason)
			if out, err := d.run("reload"); exitStatus(err) != 1 || !strings.Contains(out, reason) || !strings.HasPrefix(out, "daemon: ") {
				t.Errorf("a reload with a bad configuration: %v, %q", err, out)
			}
			if out, err := d.run("relaod"); exitStatus(err) != 2 || !strings.Contains(out, "usage") {
				t.Errorf("a command that there is not: %v, %q", err, out)
			}
			if s := d.status(); s.Generation != 2 {
				t.Errorf("generation %d serves", s.Generation)
			}
			c.ask("/")
			c.answer(2)
		})
	}
}

// TestMainFails has the exit status and the error of a program that cannot
// start.
func TestMainFails(t *testing.T) {
	config := t.TempDir()
	writeConfig(t, config, "bad.txt", "no")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HEIRLOOM_TEST_ROLE=main", "RUNTIME_DIRECTORY="+t.TempDir(), "HEIRLOOM_TEST_CONFIG="+config)
	if out, err := cmd.CombinedOutput(); exitStatus(err) != 1 || string(out) != "daemon: no\n" {
		t.Errorf("%v, %q", err, out)
	}
}

// writeCertificate makes a certificate with that serial number.
func writeCertificate(t *testing.T, dir string, serial int64) {
	t.Helper()
	cert, key := selfsigned.PEM(selfsigned.New(func(c *x509.Certificate) { c.SerialNumber = big.NewInt(serial) }))
	writeConfig(t, dir, "cert.pem", cert)
	writeConfig(t, dir, "key.pem", key)
}

// serial returns the number of the certificate that the client was shown.
func (c *client) serial() int64 {
	c.t.Helper()
	return c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// TestRenewedCertificate renews a certificate by a reload, beside and in place.
// One that cannot be used fails the reload, and nothing is lost.
func TestRenewedCertificate(t *testing.T) {
	for name, env := range map[string][]string{
		"beside":   {"HEIRLOOM_TEST_MOVE_TLS=1"},
		"in place": {"HEIRLOOM_TEST_MOVE_TLS=1", "HEIRLOOM_TEST_REPLACE=in-place", "HEIRLOOM_TEST_DRY_RUN=1"},
	} {
		t.Run(name, func(t *testing.T) {
			config := t.TempDir()
			writeCertificate(t, config, 1)
			d := startLocal(t, "tcp", append(env, "HEIRLOOM_TEST_ROLE=main", "HEIRLOOM_TEST_MAIN=tls", "HEIRLOOM_TEST_CONFIG="+config)...)
			c := d.dialTLS()
			c.ask("/")
			c.answer(1)

			writeConfig(t, config, "cert.pem", "half of it")
			out, err := d.run("reload")
			if exitStatus(err) != 1 || !strings.Contains(out, filepath.Join(config, "cert.pem")) || !strings.Contains(out, filepath.Join(config, "key.pem")) {
				t.Errorf("a reload with a bad certificate: %v, %q", err, out)
			}
			c.ask("/")
			c.answer(1)
			if serial := d.dialTLS().serial(); serial != 1 {
				t.Errorf("certificate %d is shown after a reload that failed", serial)
			}

			writeCertificate(t, config, 2)
			d.reload()
			d.eventually("the next generation", func() bool { s := d.status(); return s.Generation == 2 && s.State == lifecycle.Ready })
			fresh := d.dialTLS()
			if serial := fresh.serial(); serial != 2 {
				t.Errorf("certificate %d is shown after the reload", serial)
			}
			fresh.ask("/")
			fresh.answer(2)
			d.awaitAlone()
			c.ask("/") // a certificate that was renewed does not matter to a session
			c.answer(2)
		})
	}
}
