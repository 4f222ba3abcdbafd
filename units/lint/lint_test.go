package lint_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

func hello() units.Service {
	return units.Service{
		Name:    "hello",
		Program: "/usr/bin/hello",
		Sockets: []units.Socket{{Name: "http", Addresses: []string{"127.0.0.1:8080"}}},
	}
}

// render writes the units of a description into a folder of their own, and
// returns their paths, the service's first.
func render(t *testing.T, s units.Service, systemd int) []string {
	t.Helper()
	files, err := s.Render(systemd)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var paths []string
	for _, f := range files {
		if !strings.HasSuffix(f.Path, ".service") && !strings.HasSuffix(f.Path, ".socket") {
			continue
		}
		path := filepath.Join(dir, filepath.Base(f.Path))
		write(t, path, f.Text)
		paths = append(paths, path)
	}
	return paths
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func check(t *testing.T, o lint.Options, args ...string) []lint.Finding {
	t.Helper()
	findings, err := lint.Check(o, args...)
	if err != nil {
		t.Fatal(err)
	}
	return findings
}

func list(findings []lint.Finding) string {
	var text strings.Builder
	if err := lint.WriteText(&text, findings); err != nil {
		return err.Error()
	}
	return text.String()
}

// A breach is a good unit with something changed, which one rule finds.
type breach struct {
	rule     string
	of       func(*units.Service) // the description, if it is not hello's
	service  string               // lines to add to it, with their sections
	socket   string               // to the first socket
	second   string               // to the second one
	drop     string               // lines that begin so are left out of all files
	options  lint.Options
	severity lint.Severity // if it is not that of the rule
	also     []string      // other rules that cannot but find it too
	keeps    bool          // its advice is a beginning: it takes more to have it right
}

func template(s *units.Service) {
	s.Name = "hello@"
	s.Sockets[0].Addresses = []string{"/run/hello-%i.sock"}
}

func noSocket(s *units.Service) { s.Sockets = nil }

func twoSockets(s *units.Service) {
	s.Sockets = append(s.Sockets, units.Socket{Name: "admin", Addresses: []string{"127.0.0.1:8081"}})
}

// breaches are those beyond each rule's own example.
func breaches() []breach {
	daemon := func(d lint.Daemon) lint.Options { return lint.Options{Daemon: d} }
	newer := lint.Options{Systemd: 262}
	return append(addressBreaches(), []breach{
		{rule: "type", service: "[Service]\nType=simple\nFileDescriptorStoreMax=\nNotifyAccess=", also: []string{"fd-store"}, severity: lint.Warning},
		{rule: "type", service: "[Service]\nType=forking"},
		{rule: "type", service: "[Service]\nType=oneshot"},
		{rule: "type", service: "[Service]\nType=dbus\nBusName=org.example.Hello"},
		{rule: "type", service: "[Service]\nType=notify-reload\nNotifyAccess=none\nFileDescriptorStoreMax=0", drop: "Type=", also: []string{"fd-store"}, severity: lint.Warning},
		{rule: "type", service: "[Service]\nType=notify-reload", severity: lint.Warning},
		{rule: "type-ready", service: "[Service]\nType=idle"},
		{rule: "type-ready", drop: "Type="},
		{rule: "notify-access", service: "[Service]\nNotifyAccess=exec", severity: lint.Warning},
		{rule: "exec-start-shell", service: "[Service]\nExecStart=\nExecStart=/bin/bash -ec 'cd /srv && /usr/bin/hello'", keeps: true},
		{rule: "exec-start-shell", service: "[Service]\nExecStart=\nExecStart=/bin/sh -c /usr/bin/hello"},
		{rule: "exec-start-shell", service: "[Service]\nExecStart=\nExecStart=/bin/sh -c 'exec 2>&1 >>/run/log; /usr/bin/hello'", keeps: true},
		{rule: "exec-start-wrapper", service: "[Service]\nExecStart=\nExecStart=/usr/bin/timeout 5 /usr/bin/hello -v"},
		{rule: "exec-start-several", service: "[Service]\nExecStart=/usr/bin/other"},
		{rule: "standard-input", service: "[Service]\nStandardOutput=socket"},
		{rule: "kill-mode", service: "[Service]\nKillMode=process", severity: lint.Warning},
		{rule: "kill-signal", service: "[Service]\nKillSignal=9"},
		{rule: "kill-signal", service: "[Service]\nKillSignal=USR1"},
		{rule: "kill-signal", service: "[Service]\nKillSignal=SIGHUP"},
		{rule: "exec-stop", service: "[Service]\nExecStop=/bin/sh -c 'kill -s TERM $MAINPID; sleep 1'"},
		{rule: "exec-stop", service: "[Service]\nExecStop=/usr/bin/pkill hello"},
		{rule: "exec-stop", service: "[Service]\nExecStop=start-stop-daemon --stop --pidfile /run/x"},
		{rule: "timeout-stop", service: "[Service]\nTimeoutStopSec=31s", options: daemon(lint.Daemon{Drain: 30 * time.Second})},
		{rule: "timeout-stop", service: "[Service]\nTimeoutSec=20s", options: daemon(lint.Daemon{Drain: 30 * time.Second, StopExtension: 11 * time.Second})},
		{rule: "timeout-stop", drop: "TimeoutStopSec=", options: daemon(lint.Daemon{Drain: 90 * time.Second})},
		{rule: "timeout-stop-infinite", service: "[Service]\nTimeoutStopSec=0"},
		{rule: "refuse-manual", service: "[Unit]\nRefuseManualStart=yes"},
		{rule: "exec-reload-missing", drop: "ExecReload="},
		{rule: "exec-reload-missing", drop: "ExecReload=", service: "[Service]\nExecStart=\nExecStart=/usr/bin/env -i /usr/bin/hello"},
		{rule: "exec-reload-signal", service: "[Service]\nExecReload=\nExecReload=/usr/bin/pkill -HUP hello"},
		{rule: "exec-reload-signal", service: "[Service]\nExecReload=\nExecReload=/bin/sh -c 'exec kill -HUP $MAINPID'"},
		{rule: "exec-reload-twice", service: "[Service]\nType=notify-reload", options: newer},
		{rule: "exec-reload-twice", service: "[Service]\nExecReload=/usr/bin/hello reload"},
		{rule: "system-calls", service: "[Service]\nSystemCallFilter=~execve"},
		{rule: "reload-signal", service: "[Service]\nType=notify-reload\nExecReload=\nReloadSignal=SIGTERM", options: newer},
		{rule: "timeout-start", service: "[Service]\nTimeoutStartSec=11s"},
		{rule: "timeout-start", options: daemon(lint.Daemon{ReloadTimeout: time.Minute})},
		{rule: "timeout-start", drop: "TimeoutStartSec=", options: daemon(lint.Daemon{ReloadTimeout: 80 * time.Second})},
		{rule: "runtime-directory", drop: "RuntimeDirectory=", service: "[Service]\nPrivateTmp=no\nDynamicUser=no"},
		{rule: "runtime-directory", of: template, drop: "RuntimeDirectory="},
		{rule: "runtime-directory", drop: "RuntimeDirectory=", service: "[Service]\nDynamicUser=no\nProtectSystem=no\nUser=www-data"},
		{rule: "runtime-directory", drop: "RuntimeDirectory=", service: "[Service]\nDynamicUser=no\nProtectSystem=no", severity: lint.Note},
		{rule: "runtime-directory", drop: "RuntimeDirectory=", service: "[Service]\nDynamicUser=no"},
		{rule: "runtime-directory", drop: "RuntimeDirectory=", service: "[Service]\nPrivateTmp=no\nProtectSystem=no"},
		{rule: "runtime-directory", drop: "RuntimeDirectory=", service: "[Service]\nPrivateTmp=no\nDynamicUser=no\nProtectSystem=no\nUser=www-data"},
		{rule: "runtime-directory", drop: "RuntimeDirectory=", service: "[Service]\nPrivateTmp=no\nDynamicUser=no\nProtectSystem=no", severity: lint.Note},
		{rule: "runtime-directory", drop: "RuntimeDirectory=", service: "[Service]\nExecReload=\nExecReload=/bin/kill -HUP $MAINPID", also: []string{"exec-reload-signal"}},
		{rule: "runtime-directory", drop: "RuntimeDirectory=", service: "[Service]\nExecReload=", also: []string{"exec-reload-missing"}},
		{rule: "runtime-directory", drop: "RuntimeDirectory=", service: "[Service]\nExecReload=\nExecReload=/usr/sbin/hello-reload"},
		{rule: "runtime-directory", drop: "RuntimeDirectory=", service: "[Service]\nDynamicUser=no\nUser=www-data\nPrivateTmp=no\nExecReload=", also: []string{"exec-reload-missing"}},
		{rule: "runtime-directory-shared", of: template, drop: "RuntimeDirectory=", service: "[Service]\nRuntimeDirectory=hello:link"},
		{rule: "runtime-directory-shared", of: template, drop: "RuntimeDirectory=", service: "[Service]\nRuntimeDirectory=hello:link-%i"},
		{rule: "runtime-directory-shared", of: template, drop: "RuntimeDirectory=", service: "[Service]\nRuntimeDirectory=hello-%i:link"},
		{rule: "runtime-directory-shared", of: template, service: "[Service]\nRuntimeDirectory=a:b\nRuntimeDirectoryPreserve=yes"},
		{rule: "restart-sec", service: "[Service]\nRestartSec=5", severity: lint.Note},
		{rule: "restart-sec", service: "[Service]\nRestartSec=1100ms", severity: lint.Note},
		{rule: "restart-sec", service: "[Service]\nRestartSec=5", of: noSocket, severity: lint.Note},
		{rule: "restart-sec", service: "[Service]\nRestartSec=2\nFileDescriptorStoreMax=0", of: noSocket, also: []string{"fd-store"}},
		{rule: "exec-start-ignore", service: "[Service]\nExecStart=\nExecStart=-/usr/bin/hello", of: noSocket},
		{rule: "restart", service: "[Service]\nRestart=on-success", severity: lint.Warning},
		{rule: "restart", service: "[Service]\nRestart=on-abnormal", of: noSocket},
		{rule: "restart", drop: "Restart=", severity: lint.Warning},
		{rule: "restart-prevent", service: "[Service]\nSuccessExitStatus=143 SIGKILL", of: noSocket},
		{rule: "start-limit", service: "[Unit]\nStartLimitBurst=5"},
		{rule: "start-limit", drop: "StartLimit", severity: lint.Note},
		{rule: "oom-policy", service: "[Service]\nMemoryMax=1G", drop: "OOMPolicy="},
		{rule: "oom-policy", service: "[Service]\nOOMPolicy=kill"},
		{rule: "fd-store", drop: "FileDescriptorStoreMax="},
		{rule: "fd-store-preserve", service: "[Service]\nFileDescriptorStorePreserve=on-success", options: newer, severity: lint.Warning},
		{rule: "tasks-max", service: "[Service]\nTasksMax=100", options: daemon(lint.Daemon{Tasks: 60}), severity: lint.Error},
		{rule: "tasks-max", service: "[Service]\nTasksMax=16\nTasksMax=101%"},
		{rule: "limit-nproc", service: "[Service]\nLimitNPROC=16\nLimitNPROC=5%"},
		{rule: "limit-nproc", service: "[Service]\nLimitNPROC=50:100", options: daemon(lint.Daemon{Tasks: 60}), severity: lint.Error},
		{rule: "memory-max", service: "[Service]\nMemoryMax=1.5G", options: daemon(lint.Daemon{Memory: 1 << 30})},
		{rule: "memory-high", service: "[Service]\nMemoryHigh=512M", options: daemon(lint.Daemon{Memory: 300 << 20})},
		{rule: "address-families", service: "[Service]\nRestrictAddressFamilies=none"},
		{rule: "address-families", service: "[Service]\nRestrictAddressFamilies=\nRestrictAddressFamilies=~AF_PACKET AF_UNIX"},
		{rule: "address-families", service: "[Service]\nRestrictAddressFamilies=\nRestrictAddressFamilies=~AF_UNIX"},
		{rule: "system-calls", service: "[Service]\nSystemCallFilter=\nSystemCallFilter=@basic-io @file-system"},
		{rule: "system-calls", service: "[Service]\nSystemCallFilter=\nSystemCallFilter=~@ipc @clock"},
		{rule: "system-calls", service: "[Service]\nSystemCallFilter=\nSystemCallFilter=~memfd_create:EPERM"},
		{rule: "system-calls", service: "[Service]\nSystemCallFilter=~socketpair"},
		{rule: "bound-program", service: "[Service]\nBindPaths=/opt/hello/hello:/usr/bin/hello:rbind"},
		{rule: "hidden-run", service: "[Service]\nTemporaryFileSystem=/run:ro"},
		{rule: "environment-reserved", service: "[Service]\nEnvironment=A=1 NOTIFY_SOCKET=/run/x"},
		{rule: "environment-reserved", service: "[Service]\nUnsetEnvironment=LISTEN_FDS"},
		{rule: "environment-reserved", service: "[Service]\nEnvironment=HEIRLOOM_PREDECESSOR=1", severity: lint.Note},
		{rule: "exec-start-argv0", service: "[Service]\nExecStart=\nExecStart=@/usr/bin/hello hello", severity: lint.Note},
		{rule: "fd-store-small", service: "[Service]\nFileDescriptorStoreMax=2", of: noSocket},
		{rule: "kill-mode", service: "[Service]\nKillMode=none"},
		{rule: "environment-reserved", service: "[Service]\nPassEnvironment=LISTEN_PID"},
		{rule: "unit-hash", service: "[Service]\nNice=3"},
		{rule: "sockets-unlisted", of: twoSockets, drop: "Sockets=hello.socket", service: "[Service]\nSockets=hello.socket"},
		{rule: "sockets-unlisted", of: template, drop: "Sockets="},
		{rule: "socket-names", drop: "FileDescriptorName=", options: daemon(lint.Daemon{Sockets: []string{"http"}})},
		{rule: "socket-names", options: daemon(lint.Daemon{Sockets: []string{"http", "admin"}}), keeps: true},
		{rule: "socket-names", of: noSocket, options: daemon(lint.Daemon{Sockets: []string{"http", "admin"}}), keeps: true},
		{rule: "sockets-unlisted", of: twoSockets, drop: "Sockets="},
		{rule: "socket-part-of", socket: "[Unit]\nBindsTo=hello.service"},
		{rule: "socket-part-of", socket: "[Unit]\nConflicts=a.service hello.service"},
		{rule: "socket-part-of", service: "[Unit]\nPropagatesStopTo=hello.socket"},
		{rule: "socket-part-of", of: template, socket: "[Unit]\nPartOf=hello@%i.service"},
		{rule: "socket-install", drop: "WantedBy=sockets|Sockets=", also: []string{"sockets-unlisted"}},
		{rule: "fd-name", drop: "FileDescriptorName=", severity: lint.Note},
		{rule: "fd-name", socket: "[Socket]\nFileDescriptorName=ht:tp"},
		{rule: "fd-name", socket: "[Socket]\nFileDescriptorName=heirloom-3", severity: lint.Error},
		{rule: "fd-name", of: twoSockets, second: "[Socket]\nFileDescriptorName=http"},
		{rule: "unknown-setting", service: "[Service]\nXyzzyPlugh=1"},
		{rule: "unknown-setting", socket: "[Socket]\nBackLog=4096"},
		{rule: "wrong-section", service: "[Socket]\nBacklog=4096"},
		{rule: "wrong-section", service: "[Unit]\nKillMode=mixed"},
		{rule: "newer-setting", service: "[Service]\nPrivateBPF=yes"},
		{rule: "invalid-value", service: "[Service]\nKillMode=mxed"},
		{rule: "invalid-value", service: "[Service]\nX-Heirloom-Ignore=kill-mood"},
		{rule: "syntax", service: "[Service]\nEnvironment='A=1"},
	}...)
}

// examples are the breaches that the rules themselves have, where a bare good
// unit does not do.
func examples() []breach {
	own := map[string]breach{
		"type":                     {also: []string{"fd-store"}, severity: lint.Warning},
		"kill-mode":                {severity: lint.Warning},
		"restart":                  {severity: lint.Warning},
		"restart-prevent":          {severity: lint.Warning},
		"exec-start-ignore":        {severity: lint.Warning},
		"fd-store-small":           {severity: lint.Note},
		"memory-max":               {options: lint.Options{Daemon: lint.Daemon{Memory: 100 << 20}}},
		"memory-high":              {options: lint.Options{Daemon: lint.Daemon{Memory: 100 << 20}}},
		"timeout-stop":             {options: lint.Options{Daemon: lint.Daemon{Drain: 30 * time.Second}}},
		"exec-reload-twice":        {options: lint.Options{Systemd: 257}},
		"reload-signal":            {options: lint.Options{Systemd: 257}},
		"fd-store-preserve":        {options: lint.Options{Systemd: 257}},
		"private-pids":             {options: lint.Options{Systemd: 257}},
		"runtime-directory-shared": {of: template, drop: "RuntimeDirectory="},
		"private-network":          {drop: "RestrictAddressFamilies=", of: noSocket},
		"socket-part-of":           {socket: "[Unit]\nPartOf=hello.service"},
		"socket-install":           {socket: "[Install]\nWantedBy=", drop: "Sockets=", also: []string{"sockets-unlisted"}},
		"sockets-unlisted":         {drop: "Sockets="},
		"socket-names":             {options: lint.Options{Daemon: lint.Daemon{Sockets: []string{"http"}}}},
		"same-address":             {socket: "[Socket]\nListenStream=0.0.0.0:8080"},
		"instance-address":         {of: template},
		"unit-hash":                {service: "[Service]\nEnvironment=" + units.HashVariable + "=0123456789abcdef", drop: "Environment="},
		"fd-name":                  {severity: lint.Error},
	}
	var all []breach
	for _, r := range lint.Rules() {
		b := own[r.ID]
		b.rule = r.ID
		switch {
		case b.service != "" || b.socket != "" || b.second != "":
		case strings.Contains(r.Bad, "[Socket]"):
			b.socket = r.Bad
		default:
			b.service = r.Bad
		}
		all = append(all, b)
	}
	return all
}

func (b breach) write(t *testing.T) []string {
	s := hello()
	if b.of != nil {
		b.of(&s)
	}
	paths := render(t, s, 252)
	for i, path := range paths {
		var kept []string
		for _, line := range strings.Split(read(t, path), "\n") {
			if !b.drops(line) {
				kept = append(kept, line)
			}
		}
		if b.rule != "unit-hash" {
			// It is of another unit now.
			kept = slices.DeleteFunc(kept, func(line string) bool { return strings.Contains(line, units.HashVariable) })
		}
		write(t, path, strings.Join(kept, "\n")+"\n"+[]string{b.service, b.socket, b.second}[i]+"\n")
	}
	return paths
}

// drops reports whether the line begins with one of those to leave out.
func (b breach) drops(line string) bool {
	return b.drop != "" && slices.ContainsFunc(strings.Split(b.drop, "|"), func(start string) bool { return strings.HasPrefix(line, start) })
}

func (b breach) name() string {
	return b.rule + " " + strings.ReplaceAll(strings.Join([]string{b.service, b.socket, b.second, b.drop}, " "), "\n", " ")
}

// TestBreaches has each rule find what it is there for, at the very line, and
// nothing else; what it says to use puts it right.
func TestBreaches(t *testing.T) {
	for _, b := range slices.Concat(examples(), breaches()) {
		t.Run(b.name(), func(t *testing.T) {
			t.Parallel()
			paths := b.write(t)
			findings := check(t, b.options, paths...)
			i := slices.IndexFunc(findings, func(f lint.Finding) bool { return f.Rule == b.rule })
			others := slices.ContainsFunc(findings, func(f lint.Finding) bool { return f.Rule != b.rule && !slices.Contains(b.also, f.Rule) })
			if i < 0 || others || len(findings) != 1+len(b.also) {
				t.Fatalf("want %s alone, got\n%s", b.rule, list(findings))
			}
			f := findings[i]
			b.judge(t, f)
			use(t, f)
			after := check(t, b.options, paths...)
			if i := slices.IndexFunc(after, func(f lint.Finding) bool { return f.Rule == b.rule }); i >= 0 && !b.keeps && (f.Use != "" || f.Remove) {
				t.Errorf("with its advice taken %s\nis followed by %s", f, after[i])
			}
		})
	}
}

func (b breach) judge(t *testing.T, f lint.Finding) {
	t.Helper()
	rule, err := lint.Explain(b.rule)
	if err != nil {
		t.Fatal(err)
	}
	want := rule.Severity
	if b.severity != "" {
		want = b.severity
	}
	if f.Severity != want || f.Unit != filepath.Base(f.Path) || f.Why == "" || strings.Contains(f.Why, "\n") {
		t.Errorf("severity %s, want %s; or unit %q, or why %q", f.Severity, want, f.Unit, f.Why)
	}
	line := strings.Split(read(t, f.Path), "\n")[f.Line-1]
	switch {
	case f.Missing && line != "["+f.Section+"]":
		t.Errorf("%s\npoints at %q", f, line)
	case f.Setting != "" && !f.Missing && line != f.Setting+"="+f.Value:
		t.Errorf("%s\npoints at %q", f, line)
	}
}

// use takes the advice of a finding.
func use(t *testing.T, f lint.Finding) {
	lines := strings.Split(read(t, f.Path), "\n")
	switch {
	case f.Missing:
		lines = slices.Insert(lines, f.Line, f.Use)
	case f.Remove:
		lines = slices.Delete(lines, f.Line-1, f.Line)
	case f.Use != "":
		lines[f.Line-1] = f.Use
	}
	write(t, f.Path, strings.Join(lines, "\n"))
}

// TestGoodExamples has nothing said about what the rules call good.
func TestGoodExamples(t *testing.T) {
	for _, b := range examples() {
		t.Run(b.rule, func(t *testing.T) {
			rule, err := lint.Explain(b.rule)
			if err != nil {
				t.Fatal(err)
			}
			b.service, b.socket, b.second = "", "", ""
			if strings.Contains(rule.Good, "[Socket]") {
				b.socket = rule.Good
			} else {
				b.service = rule.Good
			}
			for _, f := range check(t, b.options, b.write(t)...) {
				if f.Rule == b.rule {
					t.Errorf("%s", f)
				}
			}
		})
	}
}
