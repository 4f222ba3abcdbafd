package lint_test

import "github.com/heirloom-go/heirloom/units/lint"

func sandboxProofs() []proof {
	const families = "[Service]\nRestrictAddressFamilies=\nRestrictAddressFamilies="
	return []proof{
		{rule: "address-families", bad: families + "AF_INET", act: start, breaks: "start 1, not active", holds: "start 0"},
		{rule: "address-families", bad: families + "none", act: start, breaks: "start 1, not active", holds: "start 0"},
		{rule: "address-families", bad: families + "~AF_UNIX", act: start, breaks: "start 1, not active", holds: "start 0"},
		{rule: "system-calls", bad: "[Service]\nSystemCallFilter=~@process", act: start, breaks: "start 1, not active", holds: "start 0"},
		{rule: "system-calls", bad: "[Service]\nSystemCallFilter=~socketpair", act: reload, breaks: "1, reload 1, 1, 1", holds: "1, reload 0, 2, 2"},
		{rule: "private-pids", bad: "[Service]\nPrivatePIDs=yes", on: only262, act: reloadBroken, breaks: "reload 1, silence", holds: "reload 1, 1"},
		{
			rule: "exec-paths", bad: "[Service]\nNoExecPaths=/\nExecPaths=PROGRAM /usr/lib", good: "[Service]\nNoExecPaths=/\nExecPaths=/usr/bin /usr/lib",
			act: upgrade, breaks: "reload 1, v1", holds: "reload 0, v2",
		},
		{
			rule: "bound-program", bad: "[Service]\nBindReadOnlyPaths=/opt/NAME/hello:/srv/hello\nExecStart=\nExecStart=/srv/hello",
			good: "[Service]\nBindReadOnlyPaths=/opt/NAME:/srv\nExecStart=\nExecStart=/srv/hello",
			act:  upgradeBound, breaks: "reload 0, v1", holds: "reload 0, v2",
		},
		{rule: "hidden-run", bad: "[Service]\nInaccessiblePaths=/run/systemd", also: impatient, act: start, breaks: "start 1, not active", holds: "start 0"},
		{rule: "hidden-run", bad: "[Service]\nTemporaryFileSystem=/run", also: impatient, act: start, breaks: "start 1, not active", holds: "start 0"},
		{rule: "environment-reserved", bad: "[Service]\nEnvironment=LISTEN_FDS=7", act: start, breaks: "start 1, not active", holds: "start 0"},
		{rule: "environment-reserved", bad: "[Service]\nUnsetEnvironment=NOTIFY_SOCKET", also: impatient, act: start, breaks: "start 1, not active", holds: "start 0"},
		{
			rule: "dynamic-user", bad: "[Service]\nReadWritePaths=/srv\nExecStartPre=touch /srv/NAME",
			good: "[Service]\nStateDirectory=NAME\nExecStartPre=touch /var/lib/NAME/file", act: start, breaks: "start 1, not active", holds: "start 0",
		},
		{rule: "private-network", bad: "[Service]\nPrivateNetwork=yes", describe: alone, act: startAndAsk, breaks: "start 0, refused", holds: "start 0, 1"},
		{rule: "limit-nofile", bad: "[Service]\nLimitNOFILE=20", act: crowd(15), breaks: "not all are answered", holds: "all are answered"},
		{rule: "limit-as", bad: "[Service]\nLimitAS=64M", act: start, breaks: "start 1, not active", holds: "start 0"},
	}
}

func socketProofs() []proof {
	return []proof{
		{rule: "accept", badSocket: "[Socket]\nAccept=yes", act: startSocket, breaks: "broken, refused", holds: "1, 1"},
		{rule: "backlog", badSocket: "[Socket]\nBacklog=2", act: queue(8), breaks: "not all are connected", holds: "all are connected"},
		{rule: "flush-pending", badSocket: "[Socket]\nFlushPending=yes", act: crashWithQueue, breaks: "broken", holds: "2"},
		{
			rule: "fd-name", badSocket: "[Socket]\nFileDescriptorName=heirloom", goodSocket: "[Socket]\nFileDescriptorName=http",
			act: start, breaks: "start 1, not active", holds: "start 0",
		},
		{
			rule: "socket-names", badSocket: "[Socket]\nFileDescriptorName=htpp", goodSocket: "[Socket]\nFileDescriptorName=http",
			daemon: lint.Daemon{Sockets: []string{"http"}}, act: start, breaks: "start 1, not active", holds: "start 0",
		},
		{rule: "socket-part-of", badSocket: "[Unit]\nPartOf=NAME.service", act: restartAndConnect, breaks: "1, broken", holds: "1, 2"},
		{rule: "socket-part-of", badSocket: "[Unit]\nBindsTo=NAME.service", act: restartAndConnect, breaks: "1, broken", holds: "1, 2"},
		{rule: "socket-install", badSocket: "[Install]\nWantedBy=", without: "Sockets", act: boot, breaks: "inactive", holds: "active"},
		{rule: "socket-service", badSocket: "[Socket]\nService=NAME-other.service", act: start, breaks: "start 1, not active", holds: "start 0"},
		{
			rule: "sockets-missing", bad: "[Service]\nSockets=NAME-http.socket", good: "[Service]\nSockets=NAME.socket", without: "Sockets",
			act: startAlone, breaks: "start 1, refused", holds: "start 0, 1",
		},
		{rule: "sockets-unlisted", without: "Sockets", act: startAlone, breaks: "start 1, refused", holds: "start 0, 1"},
		{rule: "same-address", badSocket: "[Socket]\nListenStream=ADDRESS", act: start, breaks: "start 1, not active", holds: "start 0"},
		{
			rule: "instance-address", badSocket: "[Socket]\nListenStream=\nListenStream=ADDRESS", goodSocket: "[Socket]", instances: true,
			act: startSecond, breaks: "start 0, start 1", holds: "start 0, start 0",
		},
		{
			rule: "socket-in-runtime-directory", badSocket: "[Socket]\nListenStream=\nListenStream=/run/NAME/http.sock", goodSocket: "[Socket]",
			describe: onPath("/run/NAME.sock"), program: "proof", act: stopAndComeBack, breaks: "1, stop 0, no such path", holds: "1, stop 0, 1",
		},
		{
			rule: "remove-on-stop", badSocket: "[Socket]\nRemoveOnStop=yes", describe: onPath("/run/NAME.sock"), program: "proof",
			act: stopSocket, breaks: "1, 0, no such path", holds: "1, 0, 1",
		},
		{rule: "trigger-limit", badSocket: "[Socket]\nTriggerLimitBurst=2\nTriggerLimitIntervalSec=1min", act: activate(3), breaks: "broken, failed", holds: "1, active"},
		{rule: "reuse-port", badSocket: "[Socket]\nReusePort=yes", act: bindAgain, breaks: "bound", holds: "in use"},
	}
}
