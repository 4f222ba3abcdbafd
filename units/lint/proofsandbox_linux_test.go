package lint_test

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
