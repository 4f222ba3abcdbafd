package lint_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/unitfile"
	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

// asks are the options for a daemon that asks for sockets of these names.
func asks(names ...string) lint.Options { return lint.Options{Daemon: lint.Daemon{Sockets: names}} }

func unlistedTemplate(s *units.Service) {
	template(s)
	s.Sockets = nil
}

// TestUses has the lines to write where they are made from what is there.
func TestUses(t *testing.T) {
	start := "[Service]\nExecStart=\nExecStart="
	for _, c := range []struct {
		breach
		want string // "" if the line is to go
	}{
		{breach{rule: "bound-program", service: "[Service]\nBindPaths=/srv /opt/a/hello:/usr/bin/hello"}, "BindPaths=/srv /opt/a:/usr/bin"},
		{breach{rule: "exec-start-shell", service: start + "/bin/sh -c '/usr/bin/hello -v'"}, "ExecStart=/bin/sh -c 'exec /usr/bin/hello -v'"},
		{breach{rule: "exec-start-shell", service: start + "/bin/sh -c /usr/bin/hello"}, "ExecStart=/bin/sh -c 'exec /usr/bin/hello'"},
		{breach{rule: "exec-start-wrapper", service: start + "/usr/bin/sudo -u x /usr/bin/hello 'a b'"}, "ExecStart=/usr/bin/hello 'a b'"},
		{breach{rule: "exec-start-argv0", service: start + "-@/usr/bin/hello /srv/x 'a b'"}, "ExecStart=-/usr/bin/hello 'a b'"},
		{breach{rule: "exec-start-shell", service: start + `/bin/sh -c "/usr/bin/hello -name \"a b\""`}, `ExecStart=/bin/sh -c "exec /usr/bin/hello -name \"a b\""`},
		{breach{rule: "exec-start-wrapper", service: start + "/opt/sudo /opt"}, "ExecStart=/opt"},
		{breach{rule: "exec-start-wrapper", service: start + `/usr/bin/sudo "/opt/a b"`}, `ExecStart="/opt/a b"`},
		{breach{rule: "exec-start-argv0", service: start + "@/usr/bin/hello 'a b'  c"}, "ExecStart=/usr/bin/hello c"},
		{breach{rule: "exec-start-argv0", service: start + "@/usr/bin/env e e-f"}, "ExecStart=/usr/bin/env e-f"},
		{breach{rule: "exec-reload-ignore", service: "[Service]\nExecReload=\nExecReload=/opt/a-b ; -/usr/bin/hello reload"},
			"ExecReload=/opt/a-b ; /usr/bin/hello reload"},
		{breach{rule: "address-families", service: "[Service]\nRestrictAddressFamilies=\nRestrictAddressFamilies=~AF_UNIX AF_INET"},
			"RestrictAddressFamilies=~AF_INET"},
		{breach{rule: "system-calls", service: "[Service]\nSystemCallFilter=~@clock @process"}, "SystemCallFilter=~@clock"},
		{breach{rule: "system-calls", service: "[Service]\nSystemCallFilter=~@process"}, ""},
		{breach{rule: "exec-paths", service: "[Service]\nNoExecPaths=/\nExecPaths=/lib /usr/bin/hello"}, "ExecPaths=/lib /usr/bin"},
		{breach{rule: "exec-paths", service: "[Service]\nNoExecPaths=/\nExecPaths=/usr/bin/hello-d -/usr/bin/hello"}, "ExecPaths=/usr/bin/hello-d -/usr/bin"},
		{breach{rule: "bound-program", service: "[Service]\nBindPaths=/a:/usr/bin/hello.d /a:/usr/bin/hello"}, "BindPaths=/a:/usr/bin/hello.d /:/usr/bin"},
		{breach{rule: "environment-reserved", service: "[Service]\nEnvironment=A=1 LISTEN_FDS=1"}, "Environment=A=1"},
		{breach{rule: "environment-reserved", service: "[Service]\nEnvironment='LISTEN_FDS=1 2' 'A=1  2'"}, "Environment='A=1  2'"},
		{breach{rule: "restart-prevent", service: "[Service]\nSuccessExitStatus=2 143"}, "SuccessExitStatus=143"},
		{breach{rule: "restart-prevent", service: "[Service]\nSuccessExitStatus=143 1"}, "SuccessExitStatus=143"},
		{breach{rule: "restart-prevent", service: "[Service]\nRestartPreventExitStatus=255 2"}, "RestartPreventExitStatus=255"},
		{breach{rule: "sockets-missing", drop: "Sockets=", service: "[Service]\nSockets=hello.socket o.socket"}, "Sockets=hello.socket"},
		{breach{rule: "runtime-directory-shared", of: template, service: "[Service]\nRuntimeDirectory=\nRuntimeDirectory=hello-%i/a hello"},
			"RuntimeDirectory=hello-%i/a hello-%i"},
		{breach{rule: "runtime-directory-shared", of: template, service: "[Service]\nRuntimeDirectory=\nRuntimeDirectory=hello-%i 'web:a b:ro'"},
			`RuntimeDirectory=hello-%i "web-%i:a b-%i:ro"`},
		{breach{rule: "runtime-directory-shared", of: template, service: "[Service]\nRuntimeDirectory=\nRuntimeDirectory=web::ro"},
			"RuntimeDirectory=web-%i::ro"},
		{breach{rule: "runtime-directory-shared", of: template, service: "[Service]\nRuntimeDirectory=\nRuntimeDirectory=web-%i:web"},
			"RuntimeDirectory=web-%i"},
		{breach{rule: "socket-part-of", socket: "[Unit]\nPartOf=a-hello.service hello.service"}, "PartOf=a-hello.service"},
		{breach{rule: "socket-part-of", socket: "[Unit]\nPartOf=a.service %p.service"}, "PartOf=a.service"},
		{breach{rule: "socket-in-runtime-directory", socket: "[Socket]\nListenStream=/run/hello/a.sock"}, "ListenStream=/run/hello-a.sock"},
		{breach{rule: "unknown-setting", service: "[Service]\nkillmode=control-group"}, "KillMode=control-group"},
		{breach{rule: "timeout-stop", service: "[Service]\nTimeoutStopSec=5s",
			options: lint.Options{Daemon: lint.Daemon{Drain: 30 * time.Second}}}, "TimeoutStopSec=32s"},
		{breach{rule: "exec-reload-missing", drop: "ExecReload=", service: start + "-/usr/bin/env GOGC=50 A= /usr/bin/hello -v\nRestart=always"},
			"ExecReload=/usr/bin/hello reload"},
		{breach{rule: "exec-reload-signal", service: start + "@/usr/bin/env env /usr/bin/hello\nExecReload=\nExecReload=kill -HUP $MAINPID"},
			"ExecReload=/usr/bin/hello reload"},
		{breach{rule: "exec-paths", service: start + "/usr/bin/env A=1 /srv/hello\nNoExecPaths=/\nExecPaths=/srv/hello /usr"}, "ExecPaths=/srv /usr"},
		{breach{rule: "sockets-unlisted", of: twoSockets, drop: "Sockets="}, "Sockets=hello.socket hello-admin.socket"},
		{breach{rule: "socket-names", of: noSocket, options: asks("http", "admin")}, "Sockets=hello.socket hello-admin.socket"},
		{breach{rule: "socket-names", of: unlistedTemplate, options: asks("http", "admin", "more")}, "Sockets=hello@%i.socket hello-admin@%i.socket hello-more@%i.socket"},
		{breach{rule: "socket-names", options: asks("main", "http")}, "Sockets=hello.socket hello-main.socket"},
		{breach{rule: "socket-names", of: noSocket, service: "[Service]\nSockets=hello.socket", options: asks("http")}, "Sockets=hello.socket hello-http.socket"},
		{breach{rule: "socket-names", drop: "Sockets=", options: asks("http", "admin")}, "Sockets=hello.socket hello-admin.socket"},
		{breach{rule: "sockets-unlisted", drop: "Sockets=", options: asks("http", "admin")}, "Sockets=hello.socket hello-admin.socket"},
		{breach{rule: "timeout-start", options: lint.Options{Daemon: lint.Daemon{ReloadTimeout: 33 * time.Second}}}, "TimeoutStartSec=50s"},
		{breach{rule: "memory-max", service: "[Service]\nMemoryMax=1G",
			options: lint.Options{Daemon: lint.Daemon{Memory: 768 << 20}}}, "MemoryMax=1536M"},
	} {
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			findings := check(t, c.options, c.write(t)...)
			i := slices.IndexFunc(findings, func(f lint.Finding) bool { return f.Rule == c.rule })
			if i < 0 || findings[i].Use != c.want || findings[i].Remove != (c.want == "") {
				t.Errorf("want %q, got\n%s", c.want, list(findings))
			}
		})
	}
}

// execUse is what the rule says to use for a script of a shell.
func execUse(t *testing.T, script string) string {
	t.Helper()
	b := breach{rule: "exec-start-shell", service: "[Service]\nExecStart=\nExecStart=/bin/sh -c " + script}
	findings := check(t, lint.Options{}, b.write(t)...)
	i := slices.IndexFunc(findings, func(f lint.Finding) bool { return f.Rule == b.rule })
	if i < 0 || findings[i].Remove {
		t.Errorf("%s: want %s, got\n%s", script, b.rule, list(findings))
		return ""
	}
	return findings[i].Use
}

// TestNoExec has no line to write where it is not one program, and one that can
// be found as it is written, that exec is to be put before.
func TestNoExec(t *testing.T) {
	for _, script := range []string{
		"'cd /srv && /usr/bin/hello'", "'A=1 /usr/bin/hello'", `/usr/bin/hello\x20-v`,
		// Builtins, functions and keywords, of which the first word tells none.
		`'eval "$HELLO_CMD"'`, "'. /usr/lib/hello/run.sh'", "'source /usr/lib/hello/run.sh'", "'command /usr/bin/hello'", "'hello -v'",
		"'(/usr/bin/hello -v)'", "'((/usr/bin/hello))'", "'! /usr/bin/hello'", `'{ /usr/bin/hello\n}'`, "'hello() ( /usr/bin/hello )'",
		"'if /usr/bin/hello'", "'while /usr/bin/hello'", "'until /usr/bin/hello'", "'for a in /usr/bin/hello'", "'case /usr/bin/hello in'",
		"'time /usr/bin/hello'", "'>/dev/null /usr/bin/hello'", "'2>/dev/null /usr/bin/hello'", "'-x/hello'", "'/usr/bin/hello() (true)'",
		// With exec these are the main process, and stay.
		"'/usr/bin/sudo -u x /usr/bin/hello'", "'/usr/bin/timeout 5 /usr/bin/hello'", "'/bin/bash /usr/lib/hello/run.sh'",
	} {
		if use := execUse(t, script); use != "" {
			t.Errorf("%s: use %s", script, use)
		}
	}
}

// TestExecRuns has a shell run each line that is to be used. It ends as the
// script does without exec: what is no program on disk cannot be given to it.
func TestExecRuns(t *testing.T) {
	if _, err := exec.LookPath("/bin/sh"); err != nil {
		t.Skip("there is no shell: ", err)
	}
	program := filepath.Join(t.TempDir(), "hello")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexit 7\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	advised := 0
	for _, script := range []string{
		"PROGRAM", "'PROGRAM -v'", "'PROGRAM -v </dev/null 2>/dev/null'", "'PROGRAM $(echo a) `echo b` \"c d\" $HOME {e,f}'", `"PROGRAM \"a b\""`,
		"'eval PROGRAM'", "'. PROGRAM'", "'(PROGRAM -v)'", "'! PROGRAM'", "'command PROGRAM'", `'if PROGRAM\nthen true\nfi'`, "'</dev/null PROGRAM'",
	} {
		script = strings.ReplaceAll(script, "PROGRAM", program)
		use := execUse(t, script)
		if use == "" {
			continue
		}
		advised++
		want, got := exitStatus(t, "ExecStart=/bin/sh -c "+script), exitStatus(t, use)
		if want != got {
			t.Errorf("%s: status %d, and with %s %d", script, want, use, got)
		}
	}
	if advised < 5 {
		t.Errorf("there are lines to use for %d scripts", advised)
	}
}

// exitStatus runs the command of a line without systemd.
func exitStatus(t *testing.T, line string) int {
	t.Helper()
	words, err := unitfile.Split(strings.TrimPrefix(line, "ExecStart="))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(words[0], words[1:]...)
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

// TestNoUse has no line to write where it cannot be told which program the
// daemon is.
func TestNoUse(t *testing.T) {
	for _, start := range []string{"/usr/bin/env -i /usr/bin/hello", "/usr/bin/env A=1", "/bin/sh -c 'exec /usr/bin/hello'", "/usr/bin/sudo /usr/bin/hello"} {
		b := breach{rule: "exec-reload-signal", service: "[Service]\nExecStart=\nExecStart=" + start + "\nExecReload=\nExecReload=kill -HUP $MAINPID"}
		findings := check(t, lint.Options{}, b.write(t)...)
		i := slices.IndexFunc(findings, func(f lint.Finding) bool { return f.Rule == b.rule })
		if i < 0 || findings[i].Use != "" || findings[i].Remove {
			t.Errorf("%s: want %s without a line to use, got\n%s", start, b.rule, list(findings))
		}
	}
}
