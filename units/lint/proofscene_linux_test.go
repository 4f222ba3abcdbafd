package lint_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

// shared is where the programs are. Each service has a link of its own to one
// of them, which can be replaced.
const shared = "/usr/libexec/proof/"

// A scene is a service of its own on a machine with others.
type scene struct {
	proof
	name    string // of its unit, without the suffix
	file    string // of its unit's file: it differs for an instance
	network string
	address string
	program string
	isBad   bool
	root    string // a folder with its units
	units   []string

	t        *testing.T
	m        *sdtest.Machine
	bus      *bus
	programs string
	kept     []*client
	version  string        // that has answered last
	limit    time.Duration // how long clients wait; 0 is long
}

// newScene writes the units of a proof below a folder, lints them, and puts
// them right or leaves them bad.
func newScene(t *testing.T, v sdtest.Version, p proof, number int, bad bool) *scene {
	t.Helper()
	kind := map[bool]string{true: "bad", false: "good"}[bad]
	port := 10000 + 2*number
	if bad {
		port++
	}
	s := &scene{
		proof:   p,
		name:    fmt.Sprintf("%s-%d-%s", p.rule, number, kind),
		isBad:   bad,
		network: "tcp",
		address: fmt.Sprintf("127.0.0.1:%d", port),
		root:    t.TempDir(),
	}
	s.program, s.file = "/usr/bin/"+s.name, s.name
	if p.instances {
		s.file, s.name = s.name+"@", s.name+"@1"
	}
	s.render(t, v)
	options := lint.Options{Root: s.root, Systemd: int(v), Daemon: p.daemon}
	if !bad && (p.good+p.goodSocket != "" || p.bad+p.badSocket+p.without == "") {
		s.dropIn(t, p.good, p.goodSocket)
	} else {
		s.dropIn(t, p.bad, p.badSocket)
		found := s.lint(t, options)
		if len(found) == 0 {
			t.Errorf("%s: nothing is found", s.name)
		}
		if bad {
			return s
		}
		for range 4 {
			for _, f := range slices.Backward(found) { // later lines first, so that the numbers stay true
				s.apply(t, f)
			}
			found = s.lint(t, options)
		}
	}
	for _, f := range s.lint(t, options) {
		t.Errorf("%s: put right, and still: %s", s.name, f)
	}
	return s
}

func (s *scene) render(t *testing.T, v sdtest.Version) {
	t.Helper()
	d := units.Service{
		Name:    s.file,
		Program: s.program,
		Sockets: []units.Socket{{Name: "http", Addresses: []string{s.address}}},
	}
	if s.instances {
		d.Sockets[0].Addresses[0] = strings.Replace(s.address, "127.0.0.1", "127.0.0.%i", 1)
	}
	if s.describe != nil {
		s.describe(s, &d)
	}
	files, err := d.Render(int(v))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		s.write(t, f.Path, s.strip(f.Text))
	}
	for _, socket := range d.SocketUnits() {
		s.units = append(s.units, strings.Replace(socket, "@", "@1", 1))
	}
	s.units = append(s.units, s.name+".service")
}

// strip takes away what the proof does not want.
func (s *scene) strip(text string) string {
	if s.without == "" {
		return text
	}
	return regexp.MustCompile(`(?m)^`+s.without+`=.*\n`).ReplaceAllString(text, "")
}

func (s *scene) dropIn(t *testing.T, service, socket string) {
	t.Helper()
	for file, lines := range map[string]string{
		".service.d/proof.conf": service, ".service.d/also.conf": s.also, ".socket.d/proof.conf": socket,
	} {
		if lines != "" {
			s.write(t, "/etc/systemd/system/"+s.file+file, s.fill(lines)+"\n")
		}
	}
}

// fill writes what differs from scene to scene.
func (s *scene) fill(text string) string {
	return strings.NewReplacer("NAME", strings.TrimSuffix(s.file, "@"), "PROGRAM", s.program, "ADDRESS", s.address).Replace(text)
}

func (s *scene) write(t *testing.T, path, text string) {
	t.Helper()
	path = filepath.Join(s.root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// lint returns the findings of the proof's rule.
func (s *scene) lint(t *testing.T, options lint.Options) []lint.Finding {
	t.Helper()
	findings, err := lint.Check(options, s.file+".service")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(findings, func(f lint.Finding) bool { return f.Rule != s.rule })
}

// apply does to the file what a finding says.
func (s *scene) apply(t *testing.T, f lint.Finding) {
	t.Helper()
	path := f.Path
	if !strings.HasPrefix(path, s.root) {
		path = filepath.Join(s.root, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	switch {
	case f.Missing:
		lines = slices.Insert(lines, f.Line, f.Use)
	case f.Use == "":
		lines = slices.Delete(lines, f.Line-1, f.Line)
	default:
		lines[f.Line-1] = f.Use
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// install brings the scene to the machine.
func (s *scene) install(t *testing.T, m *sdtest.Machine) {
	t.Helper()
	err := filepath.WalkDir(s.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		m.WriteFile(strings.TrimPrefix(path, s.root), string(text), 0o644)
		return err
	})
	if err == nil {
		err = m.Inside(func() error { return os.Link(shared+cmp.Or(s.proof.program, "hello"), s.program) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

// play does what the proof says, and compares what is seen.
func (s *scene) play(t *testing.T, m *sdtest.Machine, b *bus, programs string) {
	s.t, s.m, s.bus, s.programs = t, m, b, programs
	began := time.Now()
	seen := s.act(s)
	for _, c := range s.kept {
		c.close()
	}
	if want := s.want(); seen != want {
		journal, _ := m.Run("journalctl", "--sync", "--no-pager", "-q", "-o", "short-monotonic", "-u", s.name+"*", "-n", "25")
		t.Errorf("seen: %s\nwant: %s\n%s", seen, want, journal)
	}
	t.Logf("%v: %s", time.Since(began).Round(time.Millisecond), seen)
	b.end(s.units) // what is left must take no time from the others
}

// want is what the act has to see.
func (s *scene) want() string {
	if s.isBad {
		return s.breaks
	}
	return s.holds
}

// second is another instance of the template.
func (s *scene) second() *scene {
	other := *s
	other.name = s.file + "2"
	other.address = strings.Replace(s.address, "127.0.0.1", "127.0.0.2", 1)
	other.units = []string{other.name + ".socket", other.name + ".service"}
	other.kept = nil
	return &other
}

// replace puts another program in the place of the service's own, as package
// managers do.
func (s *scene) replace(program string) { s.m.Install(filepath.Join(s.programs, program), s.program) }

// do runs systemctl on the service, and says how that ended: "reload 0".
func (s *scene) do(verb string, args ...string) string {
	return fmt.Sprint(verb, " ", s.run(append([]string{verb}, append(args, s.name+".service")...)...))
}

// start starts the sockets and the service.
func (s *scene) start() string {
	return fmt.Sprint("start ", s.run(append([]string{"start"}, s.units...)...))
}

// run returns the exit code of systemctl.
func (s *scene) run(args ...string) int {
	s.t.Helper()
	_, err := s.m.Run("systemctl", args...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	s.t.Fatal(err)
	return -1
}

func (s *scene) property(name string) string { return s.m.Property(s.name+".service", name) }

// state is such as "active/running", or "failed/failed (exit-code)".
func (s *scene) state() string {
	s.t.Helper()
	return s.bus.state(s.t, s.name+".service")
}

// activity is "" for a service that is active, or what else it is.
func (s *scene) activity() string {
	if state := s.state(); state != "active/running" {
		return "not active"
	}
	return ""
}

// restarted is how often systemd has restarted the service by itself.
func (s *scene) restarted() int {
	s.t.Helper()
	return s.bus.number(s.t, s.name+".service", "NRestarts")
}

func (s *scene) main() int {
	s.t.Helper()
	return s.bus.number(s.t, s.name+".service", "MainPID")
}

// signal sends a signal to the main process.
func (s *scene) signal(sig syscall.Signal) { s.m.Kill(s.main(), sig) }

// halt stops a process, and returns when no thread of it can accept a
// connection any more.
func (s *scene) halt(pid int) {
	s.t.Helper()
	s.m.Kill(pid, syscall.SIGSTOP)
	s.m.Wait("all threads to stand still", func() bool {
		threads, _ := filepath.Glob(fmt.Sprintf("%s/proc/%d/task/*/stat", s.m.Root(), pid))
		return len(threads) > 0 && !slices.ContainsFunc(threads, func(path string) bool {
			stat, _ := os.ReadFile(path)
			return !strings.Contains(string(stat), ") T ")
		})
	})
}

// processes are the PIDs in the unit.
func (s *scene) processes() []int {
	var pids []int
	for _, p := range s.m.Processes(s.name + ".service") {
		if p.State != 'Z' {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// gone waits until a process has ended.
func (s *scene) gone(pid int) {
	s.t.Helper()
	s.m.Wait(fmt.Sprintf("process %d to end", pid), func() bool {
		_, err := os.Stat(fmt.Sprintf("%s/proc/%d", s.m.Root(), pid))
		return err != nil
	})
}

func (s *scene) dial(ctx context.Context) (*client, error) {
	conn, err := s.m.Dial(ctx, s.network, s.address)
	if err != nil {
		return nil, err
	}
	c := newClient(conn, s.patience())
	s.kept = append(s.kept, c)
	return c, nil
}
