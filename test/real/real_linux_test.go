package real_test

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
	"github.com/heirloom-go/heirloom/test/real/daemon"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

var rounds = flag.Int("real.rounds", 12, "how often each daemon is replaced: two reloads, a restart, and so on")

// A real is a daemon and what is different about it.
type real struct {
	name    string
	args    string            // of serve
	files   map[string]string // that it reads
	tls     bool
	crowd   map[loadtest.Class]int // nil if it does not speak HTTP
	kept    bool                   // connections outlive reloads and restarts
	warning string                 // that it may log
	open    opener
	counts  bool // its requests, on the disk
}

// everybody is a crowd of all kinds of clients, most of which keep their
// connections.
func everybody() map[loadtest.Class]int {
	crowd := loadtest.OfEach(1)
	crowd[loadtest.KeepAlive] = 10
	return crowd
}

// TestReal has each daemon replaced under load.
func TestReal(t *testing.T) {
	certificate, key := selfsigned.PEM(selfsigned.New())
	webTLS := map[string]string{
		"/etc/cert.pem": certificate, "/etc/key.pem": key,
		"/etc/web.yml": "tls_server_config:\n  cert_file: /etc/cert.pem\n  key_file: /etc/key.pem\nhttp_server_config:\n  http2: false\n",
	}
	for _, r := range []real{
		{name: "exporter", crowd: everybody(), kept: true},
		{name: "exporter", args: "--web.config.file=/etc/web.yml", files: webTLS, tls: true, crowd: everybody(), kept: true},
		{name: "ginweb", crowd: everybody(), kept: true, warning: "h2c.NewHandler was left out"},
		{name: "echoweb", crowd: everybody(), kept: true},
		// fasthttp closes idle connections with what a client has just sent.
		{name: "fiberweb", crowd: map[loadtest.Class]int{loadtest.PerRequest: 10}},
		{name: "boltweb", crowd: everybody(), kept: true, counts: true},
		{name: "grpcd", open: openGRPC},
		{name: "dnsd", open: openDNS},
	} {
		name := r.name
		if r.tls {
			name += " with TLS"
		}
		if r.open == nil {
			r.open = openWeb
		}
		t.Run(name, func(t *testing.T) {
			d := r.start(t)
			d.replace()
			d.failReloads()
			d.stop()
			d.checkJournal()
		})
	}
}

// A running is a daemon on a booted systemd.
type running struct {
	real
	t          *testing.T
	m          *sdtest.Machine
	generation int
}

func (r real) start(t *testing.T) *running {
	t.Helper()
	program := filepath.Join(t.TempDir(), r.name)
	cmd := exec.Command("go", "build", "-o", program, "./"+r.name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // for the roots with another libc
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d := &running{real: r, t: t, m: sdtest.Boot(t, sdtest.V262), generation: 1}
	d.m.Install(program, "/usr/local/bin/good")
	d.m.Install(program, "/usr/bin/"+r.name)
	for path, text := range r.files {
		d.m.WriteFile(path, text, 0o644)
	}
	d.m.WriteFile("/etc/systemd/system/"+r.name+".service", fmt.Sprintf(`[Unit]
StartLimitIntervalSec=0
[Service]
Type=notify
NotifyAccess=main
ExecStart=/usr/bin/%[1]s %[2]s
ExecReload=/usr/bin/%[1]s reload
RuntimeDirectory=%[1]s
StateDirectory=%[1]s
FileDescriptorStoreMax=64
TimeoutStartSec=5min
TimeoutStopSec=5min
`, r.name, r.args), 0o644)
	d.m.MustRun("systemctl", "daemon-reload")
	d.m.MustRun("systemctl", "start", r.name)
	return d
}

// dial opens a connection of a client.
func (d *running) dial(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := d.m.Dial(ctx, network, address)
	if err != nil || !d.tls {
		return nc, err
	}
	tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}})
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return tc, nil
}

// replace reloads and restarts the daemon under load: no request is broken.
func (d *running) replace() {
	d.t.Helper()
	if d.crowd == nil {
		load := startTalk(d)
		d.replaceUnder(load)
		load.verify(d.t)
		return
	}
	load := loadtest.Start(loadtest.Target{Address: daemon.Address, Dial: d.dial, IdleFor: 100 * time.Millisecond, SlowFor: 50 * time.Millisecond}, d.crowd)
	d.replaceUnder(load)
	report := load.Stop()
	loadtest.Verify(d.t, report)
	for _, class := range report.ByClass {
		if d.kept && class.Class == loadtest.KeepAlive && class.Connections != class.Clients {
			d.t.Errorf("%d keep-alive clients needed %d connections", class.Clients, class.Connections)
		}
	}
	if d.counts {
		text := strings.TrimSpace(d.ask(0, "count"))
		if n, err := strconv.Atoi(text); err != nil || n < report.Requests {
			d.t.Errorf("%q of %d requests are on the disk", text, report.Requests)
		}
	}
}

// replaceUnder does so under a load that tells which generation answers.
func (d *running) replaceUnder(load interface {
	WaitGeneration(context.Context, int) error
}) {
	d.t.Helper()
	for i := range *rounds {
		verb := "reload"
		if i%3 == 2 {
			verb = "restart"
		}
		d.m.MustRun("systemctl", verb, d.name)
		d.generation++
		ctx, cancel := patience.Context(d.t.Context(), 30*time.Second)
		if err := load.WaitGeneration(ctx, d.generation); err != nil {
			d.t.Errorf("%s %d: %v", verb, i, err)
		}
		cancel()
	}
}

// failReloads has a configuration that is bad, and a program of which only the
// commands work: the reload says why, and nothing else happens.
func (d *running) failReloads() {
	d.t.Helper()
	const reason = "the configuration of the day is bad"
	d.m.WriteFile(daemon.Config, reason, 0o644)
	d.failReload(reason)
	d.mustServe("after a reload that failed")
	d.m.MustRun("rm", daemon.Config)
	if d.args != "" {
		// The toolkit reads the file for each handshake: nobody is served
		// until it is repaired, with or without a reload.
		d.m.WriteFile("/etc/web.yml", "nonsense: true\n", 0o644)
		d.failReload("nonsense")
		d.m.WriteFile("/etc/web.yml", d.files["/etc/web.yml"], 0o644)
		d.mustServe("after a reload that failed")
	}
	d.m.WriteFile("/usr/bin/"+d.name, "#!/bin/sh\ncase \"$1\" in reload|status) exec /usr/local/bin/good \"$@\";; esac\nexit 3\n", 0o755)
	d.failReload("ended before it was ready")
	d.mustServe("after a reload that failed")
	d.m.MustRun("cp", "--remove-destination", "/usr/local/bin/good", "/usr/bin/"+d.name)
	d.m.MustRun("systemctl", "reload", d.name)
	d.generation++
	d.mustServe("after a reload")
}

// mustServe fails the test unless the generation that should does answer.
func (d *running) mustServe(when string) {
	d.t.Helper()
	if got := d.ask(0, "hello"); !strings.Contains(got, fmt.Sprintf("generation %d ", d.generation)) {
		d.t.Errorf("%s %q answers", when, got)
	}
}

func (d *running) failReload(reason string) {
	d.t.Helper()
	before := d.m.Property(d.name+".service", "MainPID")
	if out, err := d.m.Run("systemctl", "reload", d.name); err == nil {
		d.t.Errorf("the reload succeeded: %s", out)
	}
	if after := d.m.Property(d.name+".service", "MainPID"); after != before {
		d.t.Errorf("the main process is %s, was %s", after, before)
	}
	if text := d.m.MustRun("/usr/local/bin/good", "status"); !strings.Contains(text, reason) {
		d.t.Errorf("the status does not say %q:\n%s", reason, text)
	}
}

// ask asks once in a session of its own, and returns the answer or the error.
func (d *running) ask(number int, question string) string {
	d.t.Helper()
	ctx, cancel := patience.Context(d.t.Context(), 2*time.Minute)
	defer cancel()
	s, err := d.open(ctx, d, number)
	if err != nil {
		return err.Error()
	}
	defer s.Close()
	answer, err := s.ask(ctx, question)
	if err != nil {
		return err.Error()
	}
	return answer
}

// stop stops the daemon while requests are under way: each is answered, and the
// stop succeeds.
func (d *running) stop() {
	d.t.Helper()
	answers := d.askSlowly(3 * time.Second)
	d.m.MustRun("systemctl", "stop", d.name)
	for range cap(answers) {
		d.expectAnswer(<-answers)
	}
	if result := d.m.Property(d.name+".service", "Result"); result != "success" {
		d.t.Errorf("result of the stop is %s", result)
	}
}

// askSlowly makes ten requests that take that long, or longer: so long that all
// of them are under way at once on this machine. It returns their answers.
func (d *running) askSlowly(long time.Duration) chan string {
	d.t.Helper()
	answers := make(chan string, 10)
	for i := range cap(answers) {
		go func() { answers <- d.ask(i, "sleep"+long.String()) }()
	}
	begun := false
	d.m.Wait("the requests", func() bool {
		begun = d.areUnderWay()
		return begun || len(answers) == cap(answers)
	})
	if begun {
		return answers
	}
	for range cap(answers) {
		d.expectAnswer(<-answers)
	}
	if long > time.Minute {
		d.t.Fatalf("ten requests of %v were never under way at once", long)
	}
	return d.askSlowly(2 * long)
}

// areUnderWay reports whether ten requests are.
func (d *running) areUnderWay() bool {
	d.t.Helper()
	if d.crowd == nil {
		return d.ask(0, "asleep") == "10"
	}
	text := d.m.MustRun("/usr/local/bin/good", "status")
	return strings.Contains(text, "10 active") || strings.Contains(text, "10 other") || strings.Contains(text, "10 in flight")
}

func (d *running) expectAnswer(got string) {
	d.t.Helper()
	if !strings.HasPrefix(got, "hello from generation") {
		d.t.Errorf("a slow request: %q", got)
	}
}

// checkJournal fails the test for what the daemon should not have had to say.
// That systemd is slow to read is said of the machine.
func (d *running) checkJournal() {
	d.t.Helper()
	for line := range strings.Lines(d.m.Journal("-u", d.name, "-o", "cat")) {
		isBad := strings.Contains(line, "[WARN]") || strings.Contains(line, "level=WARN") || strings.Contains(line, "[ERROR]") || strings.Contains(line, "level=ERROR")
		if isBad && !strings.Contains(line, "reload failed") && !strings.Contains(line, "the service manager is slow to read") &&
			(d.warning == "" || !strings.Contains(line, d.warning)) {
			d.t.Error("the journal has: ", line)
		}
	}
}
