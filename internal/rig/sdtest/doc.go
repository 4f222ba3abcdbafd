// Package sdtest boots a real systemd as PID 1 of a small machine made of Linux
// namespaces, for tests whose claim is about systemd itself.
//
// A [Machine] has process ids, mounts, a network (with a loopback interface and
// nothing else), a host name, IPC and control groups of its own. Its root file
// system is an overlay: it reads a Debian root that it cannot change and writes
// into memory. It runs journald and D-Bus, reaches multi-user.target in about a
// second, and starts nothing that the administrator of the host enabled.
// Several machines may run beside each other and know nothing of each other,
// unless they [Machine.Join] a [Network].
//
// The test stands outside and reaches in: it writes units and installs
// programs, runs commands, dials, and looks at processes. What it does inside
// happens on threads of the test process that joined the machine's namespaces,
// so there is no agent in the machine and no address to reach it by.
//
//	func TestStarts(t *testing.T) {
//		for _, v := range sdtest.Versions() {
//			t.Run(v.String(), func(t *testing.T) {
//				m := sdtest.Boot(t, v)
//				m.Install("/path/to/hellod", "/usr/bin/hellod")
//				m.WriteFile("/etc/systemd/system/hellod.service", unit, 0o644)
//				m.MustRun("systemctl", "daemon-reload")
//				m.MustRun("systemctl", "start", "hellod")
//				conn, err := m.Dial(t.Context(), "tcp", "127.0.0.1:8080")
//				...
//			})
//		}
//	}
//
// Nothing outlives the test. All processes of a machine die with its PID 1,
// which the kernel kills when the test process dies, however that happens; the
// mounts go with the last process. Only the folders of its control group remain
// after a killed test, and the next Boot removes them.
//
// Machines need root, cgroup v2 mounted somewhere, overlayfs and Linux 5.8.
// [V252] is the host's own root, the others are folders that the program
// cmd/sdroots prepares. [Require] says what is missing.
//
// A machine is no security boundary: its root user is the host's.
package sdtest
