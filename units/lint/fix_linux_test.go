package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/units/lint"
)

// TestFixOnSystemd has each systemd read the drop-ins that Fix plans: it has
// nothing to say of them.
func TestFixOnSystemd(t *testing.T) {
	plans := planAll(t)
	for _, v := range sdtest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			m := sdtest.Boot(t, v)
			var units []string
			for _, p := range plans {
				if p.systemd > int(v) {
					continue
				}
				for path, text := range p.files {
					m.WriteFile(path, text, 0o755) // also of the programs
				}
				units = append(units, p.units...)
			}
			out, _ := m.Run("systemd-analyze", append([]string{"verify", "--man=no"}, units...)...)
			for line := range strings.Lines(out) {
				// The bad lines are there still.
				if !ofUnit.MatchString(line) && !strings.Contains(line, "marked executable") {
					t.Errorf("systemd-analyze verify says %s", line)
				}
			}
		})
	}
}

// ofUnit is what is said of a line of a unit's own file.
var ofUnit = regexp.MustCompile(`^/srv/fix/[a-z0-9@-]+[.](service|socket):\d+: `)

// plannedUnits are those of a breach with the drop-ins that Fix plans, under
// names of their own.
type plannedUnits struct {
	systemd int
	units   []string
	files   map[string]string
}

func planAll(t *testing.T) []plannedUnits {
	t.Helper()
	var all []plannedUnits
	for i, b := range slices.Concat(examples(), breaches()) {
		root, names := b.install(t)
		b.options.Root = root
		plan := fix(t, b.options, names[0])
		if len(plan.DropIns) == 0 || len(plan.Left) > 0 {
			continue
		}
		own := strings.NewReplacer("hello", fmt.Sprintf("fix%d", i)).Replace
		p := plannedUnits{systemd: b.options.Systemd, files: map[string]string{
			own("/usr/bin/hello"): "#!/bin/sh\n", own("/usr/sbin/hello-reload"): "#!/bin/sh\n",
		}}
		for _, name := range names {
			path := own("/srv/fix/" + name)
			p.files[path] = own(read(t, filepath.Join(root, vendor, name)))
			p.units = append(p.units, path)
		}
		for _, in := range plan.DropIns {
			p.files[own("/srv/fix/"+in.Unit+".d/")+filepath.Base(in.Path)] = own(in.New)
		}
		all = append(all, p)
	}
	if len(all) < 50 {
		t.Errorf("only %d breaches are put right", len(all))
	}
	return all
}

// TestFixRead has a systemd restart a service by the lines of a drop-in: it can
// be reloaded then, which the unit itself had made impossible.
func TestFixRead(t *testing.T) {
	programs := buildPrograms(t)
	for _, v := range sdtest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			m := sdtest.Boot(t, v)
			m.Install(filepath.Join(programs, "hello"), "/usr/bin/hello")
			const unit = vendor + "/hello.service"
			const text = `[Service]
ExecStart=-/usr/bin/hello -listen 127.0.0.1:8080
ExecReload=/bin/kill -HUP $MAINPID
ExecStop=/bin/kill -TERM $MAINPID
RestrictAddressFamilies=AF_INET
SystemCallFilter=@system-service
SystemCallFilter=~@ipc
SuccessExitStatus=2
KillMode=mixed
User=daemon
`
			m.WriteFile(unit, text, 0o644)
			m.MustRun("systemctl", "daemon-reload")
			m.MustRun("systemctl", "start", "hello.service")
			if out, err := m.Run("hello", "status"); err == nil {
				t.Errorf("it can be asked before: %s", out)
			}
			o := lint.Options{Root: m.Root(), Systemd: int(v)}
			for _, in := range fix(t, o, "hello").DropIns {
				m.WriteFile(strings.TrimPrefix(in.Path, m.Root()), in.New, 0o644)
			}
			if left := serious(check(t, o, "hello")); len(left) > 0 {
				t.Errorf("left:\n%s", list(left))
			}
			if out := m.MustRun("systemd-analyze", "verify", "--man=no", "hello.service"); out != "" {
				t.Errorf("systemd-analyze verify: %s", out)
			}
			m.MustRun("systemctl", "daemon-reload")
			m.MustRun("systemctl", "restart", "hello.service")
			m.WaitActive("hello.service")
			m.MustRun("systemctl", "reload", "hello.service")
			if out := m.MustRun("hello", "status"); !strings.Contains(out, "generation 2") {
				t.Errorf("status: %s", out)
			}
			if now, err := os.ReadFile(m.Root() + unit); err != nil || string(now) != text {
				t.Errorf("the unit itself has changed: %v", err)
			}
		})
	}
}
