package lint_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

// descriptions vary each field of a description.
func descriptions() map[string]func(*units.Service) {
	return map[string]func(*units.Service){
		"default":       func(*units.Service) {},
		"texts":         func(s *units.Service) { s.Description, s.Documentation = "Hello, world", []string{"man:hello(8)"} },
		"arguments":     func(s *units.Service) { s.Args = []string{"-x", "a b", `"`, ";", "$HOME", "%%"} },
		"reload":        func(s *units.Service) { s.ReloadArgs, s.ReloadTimeout = []string{"-c", "reload"}, time.Minute },
		"notify-reload": func(s *units.Service) { s.NotifyReload = true },
		"no socket":     noSocket,
		"two sockets":   twoSockets,
		"template":      template,
		"two of template": func(s *units.Service) {
			template(s)
			s.Sockets = append(s.Sockets, units.Socket{Name: "admin", Addresses: []string{"@%i"}})
		},
		"addresses": func(s *units.Service) {
			s.Sockets[0].Addresses = []string{"[::1]:80", "127.0.0.1:80", "udp:127.0.0.1:80", "/run/x.sock", "@x", "vsock:80"}
			s.Sockets[0].FreeBind = true
		},
		"families": func(s *units.Service) {
			s.Sockets[0].Addresses = []string{"[::]:80", "0.0.0.0:80", "udp:0.0.0.0:53", "udp::53"}
		},
		"unix socket": func(s *units.Service) {
			s.Sockets = []units.Socket{{Name: "u", Addresses: []string{"unixpacket:/run/u.sock"}, Mode: 0o600, User: "root", Group: "root", Backlog: 2048}}
		},
		"short stop":    func(s *units.Service) { s.StopTimeout = time.Second },
		"long stop":     func(s *units.Service) { s.StopTimeout = 36 * time.Hour },
		"long start":    func(s *units.Service) { s.StartTimeout = 5 * time.Minute },
		"watchdog":      func(s *units.Service) { s.Watchdog = 30 * time.Second },
		"user":          func(s *units.Service) { s.User, s.Group = "hello", "www-data" },
		"user's":        func(s *units.Service) { s.Scope = units.User },
		"local network": func(s *units.Service) { s.Network = units.LocalNetwork },
		"any network":   func(s *units.Service) { s.Network, s.Sockets = units.AnyNetwork, nil },
		"directories": func(s *units.Service) {
			s.StateDirectory, s.CacheDirectory, s.LogsDirectory, s.ConfigurationDirectory = []string{"hello", "hello/a"}, []string{"hello"}, []string{"hello"}, []string{"hello"}
		},
		"paths":   func(s *units.Service) { s.User, s.ReadWritePaths = "hello", []string{"/srv/hello", "/home/hello/data"} },
		"devices": func(s *units.Service) { s.Devices = []string{"/dev/ttyS0"} },
		"rights": func(s *units.Service) {
			s.Capabilities = []string{"CAP_NET_RAW", "CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SYS_NICE"}
		},
		"calls": func(s *units.Service) { s.SystemCalls, s.ExecutableMemory = []string{"@mount", "bpf"}, true },
		"environment": func(s *units.Service) {
			s.Environment, s.EnvironmentFiles = []string{"A=b c", `D="'\`, "E="}, []string{"-/etc/default/hello"}
		},
		"limits": func(s *units.Service) { s.Memory, s.Tasks, s.Descriptors, s.StoredDescriptors = 64<<20, 20, 65536, 100 },
		"bound to itself": func(s *units.Service) {
			s.Settings = []units.Setting{{Section: "Service", Name: "BindReadOnlyPaths", Value: s.Program}}
		},
		"settings": func(s *units.Service) { s.Settings = []units.Setting{{Section: "Service", Name: "Nice", Value: "5"}} },
	}
}

// TestRendered has nothing said about what package units renders, for any
// systemd.
func TestRendered(t *testing.T) {
	for name, of := range descriptions() {
		for _, systemd := range []int{252, 257, 262} {
			s := hello()
			of(&s)
			if s.NotifyReload && systemd < 253 {
				continue
			}
			options := lint.Options{Scope: s.Scope, Systemd: systemd, Daemon: lint.Describes(s)}
			if findings := check(t, options, render(t, s, systemd)...); len(findings) > 0 {
				t.Errorf("%s on %d:\n%s", name, systemd, list(findings))
			}
			options.Daemon = lint.Daemon{}
			if findings := check(t, options, render(t, s, systemd)[0]); len(findings) > 0 {
				t.Errorf("%s on %d, the service alone:\n%s", name, systemd, list(findings))
			}
		}
	}
}

type handWrittenUnits struct{ name, service, socket string }

// handWritten are units that were written by hand and are good.
var handWritten = []handWrittenUnits{
	{"hardened", `[Unit]
Description=hello
Documentation=https://github.com/heirloom-go/heirloom
After=network.target
StartLimitIntervalSec=30s
StartLimitBurst=20

[Service]
Type=notify
NotifyAccess=main
ExecStart=/usr/bin/hello
ExecReload=/usr/bin/hello reload
Sockets=hello.socket
Restart=on-failure
RestartSec=200ms
TimeoutStartSec=15s
TimeoutStopSec=20s
KillMode=control-group
KillSignal=SIGTERM
SendSIGHUP=no
FileDescriptorStoreMax=4096
RuntimeDirectory=hello
RuntimeDirectoryMode=0700
EnvironmentFile=-/etc/default/hello
LimitNOFILE=524288

DynamicUser=yes
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
PrivateUsers=yes
PrivateIPC=yes
PrivateNetwork=yes
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
IPAddressDeny=any

[Install]
WantedBy=multi-user.target
Also=hello.socket
`, `[Unit]
Description=hello socket

[Socket]
ListenStream=127.0.0.1:8080
FileDescriptorName=http
Backlog=4096

[Install]
WantedBy=sockets.target
`},
}

// TestHandWritten has nothing said about them, and about those of the README.
func TestHandWritten(t *testing.T) {
	for _, u := range append(handWritten, readmeUnits(t)) {
		dir := t.TempDir()
		service, socket := filepath.Join(dir, "hello.service"), filepath.Join(dir, "hello.socket")
		write(t, service, u.service)
		write(t, socket, u.socket)
		for _, args := range [][]string{{service}, {socket}, {service, socket}, {socket, service}} {
			for _, f := range check(t, lint.Options{Systemd: 257}, args...) {
				t.Errorf("%s: %s", u.name, f)
			}
		}
	}
}

func readmeUnits(t *testing.T) handWrittenUnits {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```ini\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("the README has %d blocks of ini, want a service and a socket", len(blocks))
	}
	return handWrittenUnits{"readme", blocks[0][1], blocks[1][1]}
}
