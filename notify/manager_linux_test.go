package notify_test

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestManager says each State to real systemds and looks at what they make of
// it. Where one is too old for a State it must ignore it, as the package
// comment has it.
func TestManager(t *testing.T) {
	leakcheck.Check(t)
	tests := []struct {
		name     string // of the unit as well
		settings string
		since    sdtest.Version
		run      func(*unit)
	}{
		{"ready", "", 0, testReady},
		{"status", "", 0, testStatus},
		{"barrier", "", 0, testBarrier},
		{"reloading", "", 0, testReloading},
		{"reloading-asked", "Type=notify-reload", sdtest.V257, testReloadingAsked},
		{"stopping", "", 0, testStopping},
		{"errors", "", 0, testErrors},
		{"main-pid", "", 0, testMainPID},
		{"main-pid-guarded", "", 0, testMainPIDFDID},
		{"main-pidfd", "", 0, testMainPIDFD},
		{"watchdog", fmt.Sprintf("WatchdogSec=%dms", watchdogTime().Milliseconds()), 0, testWatchdog},
		{"watchdog-trigger", "WatchdogSec=1h\nRestart=on-watchdog\nRestartSec=1ms", 0, testWatchdogTrigger},
		{"watchdog-usec", "WatchdogSec=1h", 0, testWatchdogUsec},
		{"extend-timeout", fmt.Sprintf("TimeoutStartSec=%dms", startTime().Milliseconds()), 0, testExtendTimeout},
		{"restart-reset", "Restart=always\nRestartSec=1ms", 0, testRestartReset},
		{"notify-access", "NotifyAccess=main", 0, testNotifyAccess},
		{"store", "FileDescriptorStoreMax=3", 0, testStore},
		{"store-poll", "FileDescriptorStoreMax=3", 0, testStorePoll},
		{"store-remove", "FileDescriptorStoreMax=3", 0, testStoreRemove},
		{"manager-renewed", "", 0, testManagerRenewed},
	}
	for _, v := range sdtest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			machine := sdtest.Boot(t, v)
			machine.Install(os.Args[0], "/usr/bin/daemon")
			for _, test := range tests {
				machine.WriteFile("/etc/systemd/system/"+test.name+".service", unitFile(test.settings), 0o644)
			}
			machine.MustRun("systemctl", "daemon-reload")
			for _, test := range tests {
				if v < test.since {
					continue
				}
				t.Run(test.name, func(t *testing.T) { test.run(newUnit(t, machine.For(t), v, test.name)) })
			}
		})
	}
}

// Limits that processes keep or break: what is ordinary, and more where the
// machine is slow. One that stalls for a second breaks none. systemd knows
// whole milliseconds of them.
var (
	watchdogTime = sync.OnceValue(func() time.Duration { return patience.Of(1500 * time.Millisecond).Truncate(time.Millisecond) })
	startTime    = sync.OnceValue(func() time.Duration { return patience.Of(3 * time.Second).Truncate(time.Millisecond) })
)

func testReady(u *unit) {
	main, started := u.launch("start")
	main.say("STATUS=not yet")
	u.want("ActiveState", "activating")
	stillRunning(u.t, started)
	main.say("READY=1")
	u.succeeds(started)
	u.want("ActiveState", "active")
	u.want("SubState", "running")
}

func testStatus(u *unit) {
	main := u.start()
	for _, text := range []string{"Grüße, 12 requests = 4 connections", strings.Repeat("x", 4096-len("STATUS=")), ""} {
		main.say("STATUS=" + text)
		u.want("StatusText", text)
	}
}

// testBarrier stops the manager, which then reads nothing, and lets it go on.
func testBarrier(u *unit) {
	main := u.start()
	u.machine.Kill(1, syscall.SIGSTOP)
	defer u.machine.Kill(1, syscall.SIGCONT)
	u.machine.Wait("PID 1 to stop", func() bool {
		stat, err := os.ReadFile(u.machine.Root() + "/proc/1/stat")
		return err == nil && strings.Contains(string(stat), ") T ")
	})
	main.order("STATUS=behind the barrier")
	if answer := main.ask("barrier 50ms"); !strings.Contains(answer, "deadline exceeded") {
		u.t.Errorf("barrier of a stopped manager: answer %q", answer)
	}
	u.machine.Kill(1, syscall.SIGCONT)
	main.order("barrier 5m")
	u.want("StatusText", "behind the barrier")
}

// testReloading reloads without having been asked to.
func testReloading(u *unit) {
	main := u.start()
	main.say("RELOADING=1", "STATUS=reloading")
	u.want("ActiveState", "reloading")
	main.say("READY=1")
	u.want("ActiveState", "active")
	u.want("StatusText", "reloading")
}

// testReloadingAsked leaves the sub-state reload-signal only if MONOTONIC_USEC
// is later than the signal.
func testReloadingAsked(u *unit) {
	main := u.start()
	reloaded := u.machine.Start("systemctl", "reload", u.name)
	if line := main.read(); line != "hangup" {
		u.t.Fatalf("received %q from the service, want its SIGHUP", line)
	}
	u.want("SubState", "reload-signal")
	main.say("RELOADING=1")
	u.want("SubState", "reload-notify")
	stillRunning(u.t, reloaded)
	main.say("READY=1")
	u.succeeds(reloaded)
	u.want("SubState", "running")
	u.want("ReloadResult", "success")
}

func testStopping(u *unit) {
	main := u.start()
	main.say("STOPPING=1", "EXIT_STATUS=7")
	u.want("ActiveState", "deactivating")
	main.say("READY=1")
	u.want("ActiveState", "deactivating")
	main.exit()
	u.machine.WaitInactive(u.name)
	u.want("Result", "success")
	u.want("ExecMainStatus", "0") // EXIT_STATUS changes nothing
}

func testErrors(u *unit) {
	main := u.start()
	main.say("ERRNO=13", "BUSERROR=org.example.Bus", "VARLINKERROR=org.example.Varlink")
	u.want("StatusErrno", "13")
	u.want("StatusBusError", u.since(sdtest.V257, "org.example.Bus", ""))
	u.want("StatusVarlinkError", u.since(sdtest.V257, "org.example.Varlink", ""))
	main.say("ERRNO=0", "BUSERROR=", "VARLINKERROR=")
	u.want("StatusErrno", "0")
	u.want("StatusBusError", "")
	u.want("StatusVarlinkError", "")
}

func testMainPID(u *unit) {
	main := u.start()
	child := u.fork(main)
	main.say(assign("MAINPID", child.PID))
	u.want("MainPID", strconv.Itoa(child.PID))
	main.exit()
	child.say("STATUS=I am the main process") // NotifyAccess=main lets nobody else say so
	u.want("StatusText", "I am the main process")
	u.want("ActiveState", "active")
	u.want("MainPID", strconv.Itoa(child.PID))
}

func testMainPIDFDID(u *unit) {
	main := u.start()
	child := u.fork(main)
	u.want("MainPID", strconv.Itoa(main.PID))
	main.say(assign("MAINPID", child.PID), assign("MAINPIDFDID", child.ID+1))
	u.want("MainPID", u.since(sdtest.V257, strconv.Itoa(main.PID), strconv.Itoa(child.PID)))
	main.say(assign("MAINPID", child.PID), assign("MAINPIDFDID", child.ID))
	u.want("MainPID", strconv.Itoa(child.PID))
}

func testMainPIDFD(u *unit) {
	main := u.start()
	child := u.fork(main)
	main.say(assign("MAINPID", main.PID), assign("MAINPIDFD", child.PID))
	u.want("MainPID", u.since(sdtest.V257, strconv.Itoa(child.PID), strconv.Itoa(main.PID)))
}

// testWatchdog lives for more than two intervals, and then no longer than one.
func testWatchdog(u *unit) {
	main := u.start()
	if main.Watchdog != watchdogTime() {
		u.t.Errorf("WatchdogInterval returned %v", main.Watchdog)
	}
	main.order(fmt.Sprint("tend ", watchdogTime()*12/5))
	main.awaitEnd()
	u.machine.WaitInactive(u.name)
	u.want("Result", "watchdog")
}

func testWatchdogTrigger(u *unit) {
	main := u.start()
	main.write("WATCHDOG=trigger")
	successor := u.accept()
	successor.say("READY=1")
	u.want("NRestarts", "1")
	u.want("MainPID", strconv.Itoa(successor.PID))
}

func testWatchdogUsec(u *unit) {
	main := u.start()
	u.want("WatchdogUSec", "1h")
	main.say("WATCHDOG_USEC=90m")
	u.want("WatchdogUSec", "1h 30min")
	main.say("WATCHDOG_USEC=0s")
	u.want("WatchdogUSec", "0")
	main.say("WATCHDOG_USEC=1m")
	u.want("WatchdogUSec", "1min")
}

// testExtendTimeout starts twice, and takes longer than TimeoutStartSec the
// second time only.
func testExtendTimeout(u *unit) {
	main, started := u.launch("start")
	if out, err := started.Wait(); err == nil {
		u.t.Errorf("start without READY=1 succeeded: %s", out)
	}
	main.awaitEnd()
	u.want("Result", "timeout")

	main, started = u.launch("start")
	main.say("EXTEND_TIMEOUT_USEC=10m")
	<-time.After(startTime() * 6 / 5)
	stillRunning(u.t, started)
	main.say("READY=1")
	u.succeeds(started)
}

func testRestartReset(u *unit) {
	main := u.start()
	u.machine.Kill(main.PID, syscall.SIGKILL)
	successor := u.accept()
	successor.say("READY=1")
	u.want("NRestarts", "1")
	successor.say("RESTART_RESET=1")
	u.want("NRestarts", u.since(sdtest.V262, "0", "1"))
}

func testNotifyAccess(u *unit) {
	main := u.start()
	child := u.fork(main)
	main.say("STATUS=main")
	child.say("STATUS=child")
	u.want("StatusText", "main")
	main.say("NOTIFYACCESS=all")
	u.want("NotifyAccess", u.since(sdtest.V257, "all", "main"))
	child.say("STATUS=child")
	u.want("StatusText", u.since(sdtest.V257, "child", "main"))
}

func testStore(u *unit) {
	main := u.start()
	for i, file := range []string{"file=a file", "file=", "listener=web"} {
		main.say(file)
		u.want("NFileDescriptorStore", strconv.Itoa(i+1))
	}
	main.say("file=one too many")
	u.want("NFileDescriptorStore", "3")
	main = u.restart()
	main.wantFiles(map[string]string{"a file": "A FILE", "stored": "", "web": "listener"})
	u.machine.MustRun("systemctl", "stop", u.name)
	u.start().wantFiles(map[string]string{})
}

// testStorePoll hangs up on both files. That the polled one is gone, and it
// alone, is told by which can be removed.
func testStorePoll(u *unit) {
	main := u.start()
	main.say("pipe=kept", "FDPOLL=0")
	main.say("pipe=polled")
	u.want("NFileDescriptorStore", "2")
	main.order("break kept")
	main.order("break polled")
	u.machine.Wait("the polled file to be dropped", func() bool {
		return u.machine.Property(u.name, "NFileDescriptorStore") != "2"
	})
	u.want("NFileDescriptorStore", "1")
	main.say("FDSTOREREMOVE=polled")
	u.want("NFileDescriptorStore", "1")
	main.say("FDSTOREREMOVE=kept")
	u.want("NFileDescriptorStore", "0")
}

func testStoreRemove(u *unit) {
	main := u.start()
	main.say("file=a")
	main.say("file=b")
	main.say("file=a")
	u.want("NFileDescriptorStore", "3")
	main.say("FDSTOREREMOVE=a")
	u.want("NFileDescriptorStore", "1")
	u.restart().wantFiles(map[string]string{"b": "B"})
}

func testManagerRenewed(u *unit) {
	main := u.start()
	for i, verb := range []string{"daemon-reload", "daemon-reexec", "daemon-reload", "daemon-reexec"} {
		before, after := fmt.Sprintf("before %s %d", verb, i), fmt.Sprintf("after %s %d", verb, i)
		main.order("STATUS=" + before)
		u.machine.MustRun("systemctl", verb)
		u.want("StatusText", before)
		main.say("STATUS=" + after)
		u.want("StatusText", after)
	}
}

func assign[T any](key string, value T) string { return fmt.Sprintf("%s=%v", key, value) }

func stillRunning(t *testing.T, c *sdtest.Command) {
	t.Helper()
	select {
	case <-c.Done():
		out, err := c.Wait()
		t.Errorf("systemctl returned too early: %s, error %v", out, err)
	default:
	}
}

// wantFiles checks what the process was started with.
func (p *process) wantFiles(want map[string]string) {
	p.t.Helper()
	if !maps.Equal(p.Files, want) {
		p.t.Errorf("started with %q, want %q", p.Files, want)
	}
}
