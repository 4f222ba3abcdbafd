package lint_test

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

// proofs are all of them, by what they are about.
func proofs() []proof {
	return slices.Concat(mainProcessProofs(), syntaxProofs(), reloadProofs(), stopProofs(), restartProofs(), sandboxProofs(), socketProofs())
}

var (
	only257 = []sdtest.Version{sdtest.V257}
	only262 = []sdtest.Version{sdtest.V262}
)

// impatient is for starts that would take long to fail.
var impatient = "[Service]\nTimeoutStartSec=" + span(8*time.Second)

// second is what a second of the limits in unit files takes here. The machine
// may become faster before they are over: who waits for their end heeds this.
var second = patience.Of(time.Second)

// span is a limit in time for this machine, as systemd writes it.
func span(d time.Duration) string {
	return fmt.Sprintf("%dms", d.Milliseconds()*second.Milliseconds()/1000)
}

// alone has the daemon bind its address itself.
func alone(s *scene, d *units.Service) {
	d.Sockets, d.Args = nil, []string{"-listen", s.address}
	d.Network = units.LocalNetwork
}

// onPath has systemd listen on a Unix socket.
func onPath(path string) func(*scene, *units.Service) {
	return func(s *scene, d *units.Service) {
		d.Sockets[0].Addresses = []string{s.fill(path)}
		d.Args = []string{"-unix", s.fill(path)}
	}
}

func mainProcessProofs() []proof {
	const untold = "[Service]\nType=exec\nNotifyAccess=none\nFileDescriptorStoreMax=0"
	return []proof{
		{rule: "type", bad: untold, act: reloadBroken, breaks: "reload 1, silence", holds: "reload 1, 1"},
		{rule: "type", bad: "[Service]\nType=forking", also: impatient, act: start, breaks: "start 1, not active", holds: "start 0"},
		{rule: "type", bad: "[Service]\nType=oneshot", also: impatient, act: start, breaks: "start 1, not active", holds: "start 0"},
		{rule: "type-ready", bad: "[Service]\nType=exec", act: startSlowly, breaks: "active/running, 1", holds: "activating/start, 1"},
		{rule: "notify-access", bad: "[Service]\nNotifyAccess=all", act: notifies, breaks: "not active", holds: ""},
		{
			rule: "pid-file", bad: "[Service]\nPIDFile=/run/NAME/pid\nExecStartPost=/bin/sh -c 'echo $MAINPID > /run/NAME/pid'",
			act: reloadDuringRequest, breaks: "reload 0, the same main process, 1, not active", holds: "reload 0, another main process, 1",
		},
		{rule: "remain-after-exit", bad: "[Service]\nRemainAfterExit=yes", program: "proof", act: exit, breaks: "silence", holds: "1"},
		{rule: "exit-type", bad: "[Service]\nExitType=cgroup", act: crashDuringDrainShows, breaks: "active/running, 1, 3", holds: "deactivating/stop-sigterm, 1, 3"},
		{rule: "exec-start-shell", bad: "[Service]\nExecStart=\nExecStart=/bin/sh -c PROGRAM", act: start, breaks: "start 1, not active", holds: "start 0"},
		{
			rule: "exec-start-wrapper", bad: "[Service]\nExecStart=\nExecStart=timeout 100 PROGRAM", good: "[Service]\nExecStart=\nExecStart=PROGRAM",
			act: start, breaks: "start 1, not active", holds: "start 0",
		},
		{
			rule: "exec-start-argv0", bad: "[Service]\nExecStart=\nExecStart=@PROGRAM /usr/bin/true", good: "[Service]\nExecStart=\nExecStart=PROGRAM",
			act: reload, breaks: "1, reload 1, 1, 1", holds: "1, reload 0, 2, 2",
		},
		{
			rule: "exec-start-ignore", bad: "[Service]\nExecStart=\nExecStart=-PROGRAM", good: "[Service]\nExecStart=\nExecStart=PROGRAM",
			act: crash(syscall.SIGKILL), breaks: "inactive/dead", holds: "comes back",
		},
		{rule: "exec-start-several", bad: "[Service]\nExecStart=PROGRAM", act: start, breaks: "start 1, not active", holds: "start 0"},
		{rule: "standard-input", bad: "[Service]\nStandardInput=socket", act: start, breaks: "start 1, not active", holds: "start 0"},
		{rule: "watchdog", bad: "[Service]\nWatchdogSec=200ms", act: freeze, breaks: "killed", holds: "lives"},
	}
}

func syntaxProofs() []proof {
	return []proof{
		{rule: "unknown-setting", bad: "[Service]\nKilMode=mixed", good: "[Service]\nKillMode=mixed", act: property("KillMode"), breaks: "control-group", holds: "mixed"},
		{rule: "newer-setting", bad: "[Service]\nExecReloadPost=true", good: "[Service]", on: only257, act: ignored, breaks: "ignored", holds: "known"},
		{
			rule: "wrong-section", bad: "[Service]\nStartLimitIntervalSec=70s", good: "[Unit]\nStartLimitIntervalSec=70s",
			act: property("StartLimitIntervalUSec"), breaks: "30s", holds: "1min 10s",
		},
		{rule: "invalid-value", bad: "[Service]\nTimeoutStopSec=soon", good: "[Service]\nTimeoutStopSec=20s", act: property("TimeoutStopUSec"), breaks: "1min 30s", holds: "20s"},
		{rule: "syntax", bad: "[Service]\nKillMode mixed", good: "[Service]\nKillMode=mixed", act: property("KillMode"), breaks: "control-group", holds: "mixed"},
	}
}

func reloadProofs() []proof {
	const byCopy = "[Service]\nExecReload=\nExecReload=" + shared + "hello reload\n"
	return []proof{
		{rule: "exec-reload-missing", bad: "[Service]\nExecReload=", good: "[Service]", act: reload, breaks: "1, reload 3, 1, 1", holds: "1, reload 0, 2, 2"},
		{rule: "exec-reload-signal", bad: "[Service]\nExecReload=\nExecReload=kill -HUP $MAINPID", good: "[Service]", act: reloadBroken, breaks: "reload 0, 1", holds: "reload 1, 1"},
		{rule: "exec-reload-ignore", bad: "[Service]\nExecReload=\nExecReload=-PROGRAM reload", act: reloadBroken, breaks: "reload 0, 1", holds: "reload 1, 1"},
		{rule: "exec-reload-twice", bad: "[Service]\nType=notify-reload", on: only257, act: reload, breaks: "1, reload 0, 3, 3", holds: "1, reload 0, 2, 2"},
		{
			rule: "reload-signal", bad: "[Service]\nReloadSignal=SIGUSR1", also: "[Service]\nType=notify-reload\nExecReload=\nTimeoutStartSec=" + span(8*time.Second),
			on: only262, act: reloadAndAsk, breaks: "reload 1, 1", holds: "reload 0, 2",
		},
		{rule: "timeout-start", bad: "[Service]\nTimeoutStartSec=2s", also: byCopy, act: reloadSlowly, breaks: "reload failed, 2", holds: "reload 0, 2"},
		{
			rule: "runtime-directory", bad: "[Service]\nRuntimeDirectory=", also: "[Service]\nDynamicUser=no\nUser=daemon\nPrivateTmp=no",
			act: reload, breaks: "1, reload 1, 1, 1", holds: "1, reload 0, 2, 2",
		},
		{rule: "runtime-directory", bad: "[Service]\nRuntimeDirectory=", program: "proof", act: status, breaks: "reload 0, not running", holds: "reload 0, found"},
		{
			rule: "runtime-directory", bad: "[Service]\nRuntimeDirectory=", program: "proof",
			also: "[Service]\nDynamicUser=no\nUser=daemon\nPrivateUsers=no\nPrivateTmp=no\nProtectSystem=no",
			act:  status, breaks: "reload 0, not running", holds: "reload 0, found",
		},
		{
			rule: "runtime-directory", bad: "[Service]\nRuntimeDirectory=", also: "[Service]\nExecReload=\nExecReload=kill -HUP $MAINPID",
			program: "proof", act: status, breaks: "reload 0, not running", holds: "reload 0, found",
		},
		{
			rule: "runtime-directory", bad: "[Service]\nRuntimeDirectory=", also: "[Service]\nExecReload=",
			program: "proof", act: status, breaks: "reload 3, not running", holds: "reload 3, found",
		},
		{
			rule: "runtime-directory-shared", bad: "[Service]\nRuntimeDirectory=\nRuntimeDirectory=NAME", instances: true,
			act: stopSecond, breaks: "start 0, stop 0, reload 1", holds: "start 0, stop 0, reload 0",
		},
		{
			rule: "runtime-directory-shared", bad: "[Service]\nRuntimeDirectory=\nRuntimeDirectory=NAME:NAME-link", instances: true,
			act: stopSecond, breaks: "start 0, stop 0, reload 1", holds: "start 0, stop 0, reload 0",
		},
		{
			rule: "runtime-directory-shared", bad: "[Service]\nRuntimeDirectory=\nRuntimeDirectory=NAME-%i:NAME-link", instances: true, on: sdtest.Versions(),
			act: startSecond, breaks: "start 0, start 1", holds: "start 0, start 0",
		},
		{
			rule: "runtime-directory-shared", bad: "[Service]\nRuntimeDirectory=\nRuntimeDirectory=NAME-%i:NAME", instances: true,
			act: startSecond, breaks: "start 0, start 1", holds: "start 0, start 0",
		},
		{
			rule: "working-directory", bad: "[Service]\nWorkingDirectory=/srv/NAME/current", good: "[Service]\nWorkingDirectory=/srv/NAME",
			act: deploy, breaks: "1, reload 0, 1", holds: "1, reload 0, 2",
		},
		{rule: "pam-name", bad: "[Service]\nPAMName=login", also: "[Service]\nUser=daemon\nDynamicUser=no", act: session, breaks: "1, reload 0, 0", holds: "0, reload 0, 0"},
		{rule: "limit-nproc", bad: "[Service]\nLimitNPROC=10", act: reload, breaks: "1, reload 1, 1, 1", holds: "1, reload 0, 2, 2"},
	}
}

func stopProofs() []proof {
	const soon = "[Service]\nTimeoutStopSec=1s"
	return []proof{
		{rule: "kill-mode", bad: "[Service]\nKillMode=mixed", act: crashDuringDrain, breaks: "broken, 3", holds: "1, 3"},
		{rule: "kill-mode", bad: "[Service]\nKillMode=process", act: crashDuringDrainLeaves, breaks: "stopped, 1 left", holds: "waits"},
		{rule: "kill-mode", bad: "[Service]\nKillMode=none", act: stopLeaves, breaks: "stopped, 1 left", holds: "waits"},
		{rule: "kill-signal", bad: "[Service]\nKillSignal=SIGQUIT", act: stopUnderWay, breaks: "broken", holds: "1"},
		{rule: "kill-signal", bad: "[Service]\nKillSignal=SIGUSR2", also: soon, act: stop, breaks: "failed/failed", holds: "inactive/dead"},
		{rule: "restart-kill-signal", bad: "[Service]\nRestartKillSignal=SIGQUIT", act: restartUnderWay, breaks: "broken", holds: "1"},
		{rule: "send-sigkill", bad: "[Service]\nSendSIGKILL=no", also: "[Service]\nTimeoutStopSec=500ms", act: stopStubborn, breaks: "left behind", holds: "killed"},
		{rule: "exec-stop", bad: "[Service]\nExecStop=/bin/sh -c 'kill $MAINPID && sleep 0.1'", act: stopUnderWay, breaks: "broken", holds: "1"},
		{rule: "timeout-stop", bad: "[Service]\nTimeoutStopSec=1s", daemon: lint.Daemon{Drain: 5 * time.Minute}, act: stopLong, breaks: "closed, broken", holds: "open, 1"},
		{
			rule: "timeout-stop-infinite", bad: "[Service]\nTimeoutStopSec=infinity", good: "[Service]\nTimeoutStopSec=500ms",
			act: stopStubborn, breaks: "waits", holds: "killed",
		},
		{rule: "refuse-manual", bad: "[Unit]\nRefuseManualStop=yes", act: restart, breaks: "1, restart 4, 1", holds: "1, restart 0, 2"},
		{rule: "refuse-manual", bad: "[Unit]\nRefuseManualStart=yes", act: startAlone, breaks: "start 4, refused", holds: "start 0, 1"},
		{rule: "stop-when-unneeded", bad: "[Unit]\nStopWhenUnneeded=yes", act: startAndIdle, breaks: "1, closed", holds: "1, open"},
	}
}

func restartProofs() []proof {
	return []proof{
		{rule: "fd-store", bad: "[Service]\nFileDescriptorStoreMax=0", act: restart, breaks: "1, restart 0, broken", holds: "1, restart 0, 2"},
		{rule: "fd-store-small", bad: "[Service]\nFileDescriptorStoreMax=1", describe: alone, on: only262, act: restartAndConnect, breaks: "1, refused", holds: "1, 2"},
		{rule: "fd-store-preserve", bad: "[Service]\nFileDescriptorStorePreserve=no", on: only262, act: restart, breaks: "1, restart 0, broken", holds: "1, restart 0, 2"},
		{rule: "fd-store-preserve", bad: "[Service]\nFileDescriptorStorePreserve=yes", on: only262, act: stopConnection, breaks: "1, open", holds: "1, closed"},
		{rule: "restart", bad: "[Service]\nRestart=no", act: crash(syscall.SIGKILL), breaks: "failed/failed", holds: "comes back"},
		{rule: "restart", bad: "[Service]\nRestart=no", describe: alone, act: crashAndAsk, breaks: "no answer", holds: "2"},
		{rule: "restart", bad: "[Service]\nRestart=on-abnormal", act: crash(syscall.SIGQUIT), breaks: "failed/failed", holds: "comes back"},
		{rule: "restart-prevent", bad: "[Service]\nRestartPreventExitStatus=2", act: crash(syscall.SIGQUIT), breaks: "failed/failed", holds: "comes back"},
		{rule: "restart-prevent", bad: "[Service]\nSuccessExitStatus=2", act: crash(syscall.SIGQUIT), breaks: "inactive/dead", holds: "comes back"},
		{rule: "restart-sec", bad: "[Service]\nRestartSec=1h", act: crashAndRestart, breaks: "no answer, restart 0, 2", holds: "2, restart 0, 3"},
		{rule: "restart-sec", bad: "[Service]\nRestartSec=10min", describe: alone, act: crashAndAsk, breaks: "no answer", holds: "2"},
		{
			rule: "restart-sec", bad: "[Service]\nRestartSec=10min", also: "[Service]\nFileDescriptorStoreMax=0", describe: alone,
			act: crashAndRetry, breaks: "refused", holds: "1",
		},
		{rule: "start-limit", bad: "[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=1min", act: restarts(2), breaks: "restart 1, refused, failed", holds: "restart 0, 3, active"},
		{rule: "start-limit", bad: "[Unit]\nStartLimitBurst=5\nStartLimitIntervalSec=10min", act: restarts(5), breaks: "restart 1, refused, failed", holds: "restart 0, 6, active"},
		{rule: "start-limit", bad: "[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=" + fmt.Sprintf("%dms", laterStart.Milliseconds()), act: restartsLater(2), breaks: "restart 0, restart 1, refused, failed", holds: "restart 0, restart 0, 4, active"},
		{rule: "runtime-max", bad: "[Service]\nRestart=no\nRuntimeMaxSec=" + span(3*time.Second), good: "[Service]\nRestart=no", act: runs, breaks: "1, closed, broken, 0, restarts", holds: "1, open, 1, 0, restarts"},
		{rule: "limit-cpu", bad: "[Service]\nLimitCPU=1", program: "proof", act: burn, breaks: "broken", holds: "1"},
	}
}
