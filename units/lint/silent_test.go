package lint_test

import (
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

// silences are what comes near to a breach and is none.
func silences() []breach {
	daemon := func(d lint.Daemon) lint.Options { return lint.Options{Daemon: d} }
	manyFamilies := "[Service]\nRestrictAddressFamilies=\nRestrictAddressFamilies="
	return append(addressSilences(), []breach{
		{rule: "type", service: "[Service]\nNotifyAccess=none"},
		{rule: "type", service: "[Service]\nType=notify-reload\nExecReload=", options: lint.Options{Systemd: 253}},
		{rule: "type-ready", service: "[Service]\nType=exec\nNotifyAccess=none\nFileDescriptorStoreMax=0"},
		{rule: "exec-start-shell", service: "[Service]\nExecStart=\nExecStart=/bin/sh -c 'cd /srv; exec /usr/bin/hello'"},
		{rule: "exec-start-shell", service: "[Service]\nExecStart=\nExecStart=/bin/sh -c 'exec >>/run/log 2>&1 7z'"},
		{rule: "exec-start-shell", service: "[Service]\nExecStart=\nExecStart=/bin/sh --norc /usr/libexec/hello.sh"},
		{rule: "exec-start-shell", service: "[Service]\nExecStart=\nExecStart=/usr/bin/hello -c 'a b'"},
		{rule: "exec-start-argv0", service: "[Service]\nExecStart=\nExecStart=@/usr/bin/hello /usr/bin/hello"},
		{rule: "exec-start-ignore", service: "[Service]\nExecStart=\nExecStart=-/usr/bin/hello\nRestart=always"},
		{rule: "exec-start-several", service: "[Service]\nExecStart=\nExecStart=/usr/bin/hello -e \\; -x"},
		{rule: "exec-start-several", service: "[Service]\nExecStart=\nExecStart=/usr/bin/hello \"a ; b\" 'c ; d' ';'"},
		{rule: "kill-signal", service: "[Service]\nKillSignal=INT"},
		{rule: "kill-signal", service: "[Service]\nKillSignal=15"},
		{rule: "exec-stop", service: "[Service]\nExecStop=/bin/busybox sleep 1"},
		{rule: "exec-stop", service: "[Service]\nExecStop=/bin/busybox"},
		{rule: "exec-stop", service: "[Service]\nExecStop=/bin/sh -c 'echo skilled'"},
		{rule: "exec-stop", service: "[Service]\nExecStop=systemctl reload other"},
		{rule: "exec-stop", service: "[Service]\nExecStop=start-stop-daemon --stop --retry 5"},
		{rule: "exec-stop", service: "[Service]\nExecStop=/bin/kill $MAINPID\nExecStop="},
		{rule: "timeout-stop", service: "[Service]\nTimeoutStopSec=32s", options: daemon(lint.Daemon{Drain: 30 * time.Second})},
		{rule: "timeout-stop", service: "[Service]\nTimeoutStopSec=infinity", options: daemon(lint.Daemon{Drain: time.Hour})},
		{rule: "timeout-stop", service: "[Service]\nTimeoutStopSec=12s", options: daemon(lint.Daemon{Drain: 30 * time.Second, StopExtension: 20 * time.Second})},
		{rule: "timeout-start", service: "[Service]\nTimeoutStartSec=12s"},
		{rule: "timeout-start", service: "[Service]\nTimeoutStartSec=0"},
		{rule: "restart-sec", service: "[Service]\nRestartSec=1"},
		{rule: "runtime-directory", drop: "RuntimeDirectory=", service: "[Service]\nExecStart=\nExecStart=/usr/bin/env -i /usr/bin/hello"},
		{rule: "runtime-directory", drop: "RuntimeDirectory=", service: "[Service]\nPrivateTmp=no\nDynamicUser=no\nProtectSystem=no\nExecReload="},
		{rule: "watchdog", service: "[Service]\nWatchdogSec=1"},
		{rule: "watchdog", service: "[Service]\nWatchdogSec=0"},
		{rule: "runtime-max", service: "[Service]\nRuntimeMaxSec=0"},
		{rule: "restart-prevent", service: "[Service]\nSuccessExitStatus=143 SIGTERM 3"},
		{rule: "restart-prevent", service: "[Service]\nSuccessExitStatus=2\nRestart=always"},
		{rule: "start-limit", service: "[Unit]\nStartLimitBurst=6"},
		{rule: "start-limit", service: "[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=0"},
		{rule: "start-limit", service: "[Unit]\nStartLimitBurst=0"},
		{rule: "start-limit", service: "[Unit]\nStartLimitBurst=5\nStartLimitIntervalSec=4s"},
		{rule: "oom-policy", service: "[Service]\nMemoryMax=1G\nDelegate=yes", drop: "OOMPolicy="},
		{rule: "oom-policy", service: "[Service]\nMemoryMax=infinity", drop: "OOMPolicy="},
		{rule: "fd-store-small", service: "[Service]\nFileDescriptorStoreMax=8"},
		{rule: "fd-store-preserve", service: "[Service]\nFileDescriptorStorePreserve=restart"},
		{rule: "limit-nofile", service: "[Service]\nLimitNOFILE=64:1024"},
		{rule: "limit-as", service: "[Service]\nLimitAS=4G"},
		{rule: "tasks-max", service: "[Service]\nTasksMax=32"},
		{rule: "tasks-max", service: "[Service]\nTasksMax=5%"},
		{rule: "tasks-max", service: "[Service]\nTasksMax=16\nTasksMax=2.5%"},
		{rule: "tasks-max", service: "[Service]\nTasksMax=120", options: daemon(lint.Daemon{Tasks: 60})},
		{rule: "memory-max", service: "[Service]\nMemoryMax=2G", options: daemon(lint.Daemon{Memory: 1 << 30})},
		{rule: "memory-max", service: "[Service]\nMemoryMax=1%", options: daemon(lint.Daemon{Memory: 1 << 30})},
		{rule: "memory-max", service: "[Service]\nMemoryMax=1M"},
		{rule: "address-families", service: manyFamilies + "~AF_INET"},
		{rule: "address-families", service: manyFamilies + "AF_INET\nRestrictAddressFamilies=AF_UNIX"},
		{rule: "address-families", service: manyFamilies + "none\nRestrictAddressFamilies=AF_UNIX"},
		{rule: "address-families", service: manyFamilies + "~AF_UNIX\nRestrictAddressFamilies=AF_UNIX"},
		{rule: "system-calls", service: "[Service]\nSystemCallFilter=\nSystemCallFilter=~@clock @debug bpf:EPERM"},
		{rule: "system-calls", service: "[Service]\nSystemCallFilter=~@process\nSystemCallFilter=@process"},
		{rule: "system-calls", service: "[Service]\nSystemCallFilter=~@process\nSystemCallFilter="},
		{rule: "exec-reload-twice", service: "[Service]\nExecReload=\nExecReload=/usr/bin/hello -check\nExecReload=/usr/bin/hello reload"},
		{rule: "system-calls", service: "[Service]\nSystemCallFilter=\nSystemCallFilter=@system-service"},
		{rule: "exec-paths", service: "[Service]\nExecPaths=/usr/bin/hello"},
		{rule: "exec-paths", service: "[Service]\nNoExecPaths=/srv\nExecPaths=/usr/bin/hello"},
		{rule: "exec-paths", service: "[Service]\nNoExecPaths=/\nExecPaths=-+/usr/bin"},
		{rule: "bound-program", service: "[Service]\nBindReadOnlyPaths=/opt/hello:/usr/bin/hello2"},
		{rule: "hidden-run", service: "[Service]\nTemporaryFileSystem=/run\nBindReadOnlyPaths=/run/systemd"},
		{rule: "hidden-run", service: "[Service]\nInaccessiblePaths=/run/systemd/private"},
		{rule: "private-network", of: noSocket},
		{rule: "private-network", drop: "RestrictAddressFamilies=", of: noSocket, service: "[Unit]\nJoinsNamespaceOf=other.service"},
		{rule: "private-network", drop: "RestrictAddressFamilies="},
		{rule: "dynamic-user", service: "[Service]\nDynamicUser=no\nReadWritePaths=/srv"},
		{rule: "default-dependencies", service: "[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target"},
		{rule: "environment-reserved", service: "[Service]\nEnvironment=LISTEN_FDNAMES=x MY_LISTEN_FDS=1"},
		{rule: "sockets-unlisted", service: "[Service]\nSockets="},
		{rule: "sockets-unlisted", drop: "Sockets=", service: "[Unit]\nRequires=hello.socket"},
		{rule: "sockets-unlisted", drop: "Sockets=", socket: "[Socket]\nService=other.service"},
		{rule: "socket-service", socket: "[Socket]\nAccept=yes"},
		{rule: "socket-install", socket: "[Install]\nWantedBy=\nRequiredBy=a.target", drop: "Sockets="},
		{rule: "backlog", socket: "[Socket]\nBacklog=1024"},
		{rule: "trigger-limit", socket: "[Socket]\nTriggerLimitBurst=0"},
		{rule: "fd-name", socket: "[Socket]\nFileDescriptorName=heirloom-web"},
		{rule: "socket-in-runtime-directory", socket: "[Socket]\nListenStream=/run/hello2/http.sock"},
		{rule: "socket-in-runtime-directory", socket: "[Socket]\nListenStream=/run/hello/http.sock", service: "[Service]\nRuntimeDirectoryPreserve=yes"},
		{rule: "runtime-directory-shared", of: template, service: "[Service]\nRuntimeDirectory=hello\nRuntimeDirectoryPreserve=yes"},
		{rule: "runtime-directory-shared", of: template, service: "[Service]\nRuntimeDirectory=hello:link-%i\nRuntimeDirectoryPreserve=yes"},
		{rule: "runtime-directory-shared", of: template, service: "[Service]\nRuntimeDirectory=hello-%i:link-%I:ro a-%i::ro"},
		{rule: "runtime-directory", drop: "RuntimeDirectory=", of: func(s *units.Service) { s.Scope = units.User }, options: lint.Options{Scope: units.User}},
		{rule: "unknown-setting", service: "[Service]\nX-Anything=1\n[X-Mine]\nA=1"},
		{rule: "invalid-value", service: "[Service]\nKillMode=\nTimeoutStopSec=1min 30s"},
		{rule: "newer-setting", service: "[Service]\nPrivatePIDs=no", options: lint.Options{Systemd: 257}},
	}...)
}

func TestSilences(t *testing.T) {
	for _, b := range silences() {
		t.Run(b.name(), func(t *testing.T) {
			t.Parallel()
			for _, f := range check(t, b.options, b.write(t)...) {
				if f.Rule == b.rule {
					t.Errorf("%s", f)
				}
			}
		})
	}
}
