package protocols_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// The unit has its sockets for HTTP from socket units; the other addresses the
// daemon binds itself. A client of HTTPS with HTTP/1.1 has to ask within the
// linger, which is therefore so long that none is too slow for it.
const (
	unit = `[Unit]
Description=daemon
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=/usr/bin/daemon -cert /etc/daemon/cert.pem -key /etc/daemon/key.pem -linger LINGER
ExecReload=/usr/bin/daemon reload
Sockets=http.socket https.socket
TimeoutStartSec=5min
TimeoutStopSec=2min
FileDescriptorStoreMax=64
RuntimeDirectory=daemon
LimitNOFILE=65536
`
	httpSocket = `[Socket]
ListenStream=127.0.0.1:8080
FileDescriptorName=http
Service=daemon.service
Backlog=4096
`
	httpsSocket = `[Socket]
ListenStream=127.0.0.1:8443
FileDescriptorName=https
Service=daemon.service
Backlog=4096
`
)

// A site is a machine with systemd that runs the daemon.
type site struct {
	t       testing.TB
	version sdtest.Version
	machine *sdtest.Machine
	roots   *x509.CertPool // that trust the daemon's certificate
	cacert  string         // path of the same, on the host
	rounds  int            // how many reloads, and how many restarts
}

// eachSite runs a test on each systemd, one after the other, so that it is the
// service that is under load and not the test.
func eachSite(t *testing.T, test func(t *testing.T, s *site)) {
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) { test(t, newSite(t, v)) })
	}
}

// newest is for what hangs little on systemd: it saves time, unless nothing may
// be left out.
func newest() []sdtest.Version {
	if os.Getenv("HEIRLOOM_TEST_ALL") == "true" {
		return sdtest.Versions()
	}
	return []sdtest.Version{sdtest.V262}
}

func newSite(t *testing.T, v sdtest.Version) *site {
	t.Helper()
	s := bootSite(t, v, daemon)
	s.rounds = sdtest.Rounds(v, 30)
	s.machine.WriteFile("/etc/systemd/system/daemon.service", strings.Replace(unit, "LINGER", patience.Of(10*time.Second).String(), 1), 0o644)
	s.machine.WriteFile("/etc/systemd/system/http.socket", httpSocket, 0o644)
	s.machine.WriteFile("/etc/systemd/system/https.socket", httpsSocket, 0o644)
	s.machine.MustRun("systemctl", "daemon-reload")
	s.machine.MustRun("systemctl", "start", "http.socket", "https.socket", "daemon.service")
	return s
}

// bootSite boots a machine that has the program, and what that serves TLS with
// in its folder of /etc.
func bootSite(t testing.TB, v sdtest.Version, program string) *site {
	t.Helper()
	s := &site{t: t, version: v, machine: sdtest.Boot(t, v), roots: x509.NewCertPool()}
	s.roots.AppendCertsFromPEM([]byte(certificate))
	s.cacert = filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(s.cacert, []byte(certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(program)
	s.machine.Install(program, "/usr/bin/"+name)
	s.machine.WriteFile("/etc/"+name+"/cert.pem", certificate, 0o600)
	s.machine.WriteFile("/etc/"+name+"/key.pem", key, 0o600)
	return s
}

// replace replaces the process, and waits until the next has served the peers.
func (s *site) replace(how string, p *phases, peers []peer) {
	s.t.Helper()
	s.machine.MustRun("systemctl", how, "daemon.service")
	reloads, restarts := p.replaced()
	s.awaitServed(1+reloads+restarts, peers)
}

// command is a program of the host that has the machine's network, and nothing
// else of it: the machine may run from a root that does not have the program.
// It is killed when ctx ends, and, if it is run by output or combinedOutput,
// when the test dies.
func (s *site) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	network := filepath.Join(filepath.Dir(s.machine.Root()), "ns", "net")
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + network, "--", name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = patience.Of(10 * time.Second)
	return cmd
}

// output is that of exec.Cmd. The thread that starts the command stays until it
// ends: Pdeathsig is sent when that thread goes, and threads of the Go runtime
// do go, such as those of sdtest's Inside (PR_SET_PDEATHSIG(2const)).
func output(cmd *exec.Cmd) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Output()
}

// combinedOutput is output with what the command writes to standard error.
func combinedOutput(cmd *exec.Cmd) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.CombinedOutput()
}

func (s *site) tls() *tls.Config { return &tls.Config{RootCAs: s.roots} }

// served tells the generation that accepts connections, and how often each
// client was served by it.
func (s *site) served() (generation int, seen map[string]int, err error) {
	client := http.Client{
		Transport: &http.Transport{DialContext: s.machine.Dial, DisableKeepAlives: true},
		Timeout:   patience.Of(30 * time.Second),
	}
	response, err := client.Get("http://127.0.0.1:8080/seen")
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Generation int
		Seen       map[string]int
	}
	err = json.NewDecoder(response.Body).Decode(&answer)
	return answer.Generation, answer.Seen, err
}

// awaitServed waits until that generation has served each peer as often as that
// wants.
func (s *site) awaitServed(generation int, peers []peer) {
	s.t.Helper()
	var problem string
	done := patience.Until(time.Minute, func() bool {
		found, seen, err := s.served()
		switch {
		case err != nil:
			problem = err.Error()
		case found != generation:
			problem = fmt.Sprintf("generation %d serves, not %d", found, generation)
		default:
			problem = unserved(peers, seen)
		}
		return problem == ""
	})
	if done {
		return
	}
	s.t.Errorf("waited in vain for generation %d: %s", generation, problem)
}

// unserved says who is missing.
func unserved(peers []peer, seen map[string]int) string {
	var missing []string
	for _, p := range peers {
		for _, name := range p.names() {
			if seen[name] < p.want {
				missing = append(missing, name)
			}
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return "it has not served " + strings.Join(missing, ", ")
}

// checkManager checks that one process is left, and that systemd has seen
// nothing wrong.
func (s *site) checkManager(unit string) {
	s.t.Helper()
	s.machine.Wait("one process to be left", func() bool { return len(s.machine.Processes(unit)) == 1 })
	for property, want := range map[string]string{
		"ActiveState": "active", "SubState": "running", "Result": "success", "NRestarts": "0",
		"MainPID": strconv.Itoa(s.machine.Processes(unit)[0].PID),
	} {
		if got := s.machine.Property(unit, property); got != want {
			s.t.Errorf("%s=%s, want %s", property, got, want)
		}
	}
	for line := range strings.Lines(s.machine.Journal("-b")) {
		for _, complaint := range []string{"not our child", "reception only permitted", "SIGKILL", "timed out", "panic", "more fds"} {
			if strings.Contains(line, complaint) {
				s.t.Errorf("journal: %s", line)
			}
		}
	}
}

// missing skips a test for want of a program, but fails it where nothing may be
// left out.
func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" || os.Getenv("HEIRLOOM_REQUIRE_ALL") == "true" {
		t.Fatal(err)
	}
	t.Skip(err)
}
