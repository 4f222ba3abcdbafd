package lifecycle_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// ticket serves HTTPS, with session ticket keys that it hands down unless
// HEIRLOOM_TEST_TICKETS is no.
func ticket(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	network, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	listener, err := service.Listen("ticket", network, address)
	if err != nil {
		return err
	}
	config := selfSigned()
	if os.Getenv("HEIRLOOM_TEST_TICKETS") != "no" {
		if err := handDownTickets(service, config); err != nil {
			return err
		}
	}
	server := &http.Server{TLSConfig: config, Handler: handler(service.Generation())}
	if err := service.HTTP(listener, server); err != nil {
		return err
	}
	return service.Run(context.Background())
}

// handDownTickets gives config the session ticket keys of the generation
// before, behind a new one, and hands down both.
func handDownTickets(service *lifecycle.Service, config *tls.Config) error {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return err
	}
	keys := [][32]byte{key} // the first makes tickets, all understand them
	switch h, err := service.InheritedState("tickets"); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		for old := range slices.Chunk(h.Data, len(key)) {
			keys = append(keys, [32]byte(old))
		}
	}
	keys = keys[:min(len(keys), 3)]
	config.SetSessionTicketKeys(keys)
	return service.PassState("tickets", func() (lifecycle.PassedState, error) {
		var data []byte
		for _, k := range keys {
			data = append(data, k[:]...)
		}
		return lifecycle.PassedState{Data: data}, nil
	})
}

// A ticketHolder is a TLS client with a session to resume.
type ticketHolder struct {
	t      *testing.T
	config *tls.Config
	dial   dialFunc
}

func holdTicket(t *testing.T, version uint16, dial dialFunc) *ticketHolder {
	return &ticketHolder{t, &tls.Config{
		InsecureSkipVerify: true,
		MaxVersion:         version,
		ServerName:         "ticket",
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}, dial}
}

// resumes makes one request, and reports whether the session was an older one.
func (h *ticketHolder) resumes() bool {
	h.t.Helper()
	nc, err := h.dial()
	if err != nil {
		h.t.Fatal(err)
	}
	conn := tls.Client(nc, h.config)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	if err == nil {
		_, err = io.ReadAll(conn)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return conn.ConnectionState().DidResume
}

// tlsVersions are those in which tickets differ.
var tlsVersions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// TestTickets has clients resume their TLS sessions after reloads, which they
// cannot where the keys are not handed down.
func TestTickets(t *testing.T) {
	for _, replace := range []string{"beside", "in-place"} {
		for _, handed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s-%t", replace, handed), func(t *testing.T) {
				env := []string{"HEIRLOOM_TEST_ROLE=ticket", "HEIRLOOM_TEST_REPLACE=" + replace, "HEIRLOOM_TEST_LINGER=50ms"}
				if !handed {
					env = append(env, "HEIRLOOM_TEST_TICKETS=no")
				}
				d := startLocal(t, "tcp", env...)
				dial := func() (net.Conn, error) { return net.Dial("tcp", d.address) }
				var holders []*ticketHolder
				for _, version := range tlsVersions {
					h := holdTicket(t, version, dial)
					if h.resumes() || !h.resumes() {
						t.Error("a session is not resumed even without a reload")
					}
					holders = append(holders, h)
				}
				for range 3 {
					openssl := newOpenSSL(t)
					openssl.connect(d.address, "New")
					d.reload()
					d.awaitAlone()
					for i, h := range holders {
						if got := h.resumes(); got != handed {
							t.Errorf("TLS %#x: session resumed %t, want %t", tlsVersions[i], got, handed)
						}
					}
					openssl.connect(d.address, map[bool]string{true: "Reused", false: "New"}[handed])
				}
			})
		}
	}
}

// An openSSL is `openssl s_client` with a session in a file.
type openSSL struct {
	t       *testing.T
	session string
}

func newOpenSSL(t *testing.T) *openSSL {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is missing")
	}
	return &openSSL{t, filepath.Join(t.TempDir(), "session")}
}

// connect connects with the session of the time before, if there is one.
// openssl then prints "New" or "Reused".
func (o *openSSL) connect(address, want string) {
	o.t.Helper()
	args := []string{"s_client", "-connect", address, "-tls1_2", "-sess_out", o.session}
	if exists(o.session) {
		args = append(args, "-sess_in", o.session)
	}
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = strings.NewReader("")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\n"+want+", TLS") {
		o.t.Errorf("openssl: %v, want a session that is %q:\n%s", err, want, out)
	}
}

// TestTicketsManaged has clients resume their TLS sessions after reloads and
// restarts on each systemd.
func TestTicketsManaged(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		for _, handed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s-%t", v, handed), func(t *testing.T) {
				t.Parallel()
				var lines []string
				if !handed {
					lines = []string{"Environment=HEIRLOOM_TEST_TICKETS=no"}
				}
				d := startManagedRole(t, v, "ticket", "tcp!127.0.0.1:8080", "", lines...)
				dial := func() (net.Conn, error) { return d.machine.Dial(background, "tcp", "127.0.0.1:8080") }
				h := holdTicket(t, tls.VersionTLS13, dial)
				if h.resumes() || !h.resumes() {
					t.Error("a session is not resumed even without a reload")
				}
				for i, verb := range []string{"reload", "restart", "restart", "reload"} {
					d.machine.MustRun("systemctl", verb, "daemon.service")
					d.awaitService("0", i+2)
					if got := h.resumes(); got != handed {
						t.Errorf("after a %s: session resumed %t, want %t", verb, got, handed)
					}
				}
			})
		}
	}
}
