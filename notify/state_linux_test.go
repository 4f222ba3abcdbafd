package notify_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/notify"
)

// TestStates sends each State alone or in the company it needs.
func TestStates(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	for _, test := range []struct {
		states []notify.State
		want   string
	}{
		{states(notify.Ready()), "READY=1"},
		{states(notify.Stopping()), "STOPPING=1"},
		{states(notify.Status("Grüße, 66% of …")), "STATUS=Grüße, 66% of …"},
		{states(notify.Status("")), "STATUS="},
		{states(notify.Status("a=b\tc")), "STATUS=a=b\tc"},
		{states(notify.Errno(syscall.ENOENT)), "ERRNO=2"},
		{states(notify.Errno(0)), "ERRNO=0"},
		{states(notify.Errno(4095)), "ERRNO=4095"},
		{states(notify.BusError("org.freedesktop.DBus.Error.TimedOut")), "BUSERROR=org.freedesktop.DBus.Error.TimedOut"},
		{states(notify.BusError("")), "BUSERROR="},
		{states(notify.VarlinkError("org.varlink.service.InvalidParameter")), "VARLINKERROR=org.varlink.service.InvalidParameter"},
		{states(notify.ExitStatus(0)), "EXIT_STATUS=0"},
		{states(notify.ExitStatus(255)), "EXIT_STATUS=255"},
		{states(notify.MainPID(4711)), "MAINPID=4711"},
		{states(notify.MainPID(4711), notify.MainPIDFDID(1<<64-1)), "MAINPID=4711\nMAINPIDFDID=18446744073709551615"},
		{states(notify.Watchdog()), "WATCHDOG=1"},
		{states(notify.WatchdogTrigger()), "WATCHDOG=trigger"},
		{states(notify.WatchdogUsec(20 * time.Second)), "WATCHDOG_USEC=20000000"},
		{states(notify.WatchdogUsec(0)), "WATCHDOG_USEC=0"},
		{states(notify.WatchdogUsec(1)), "WATCHDOG_USEC=1"},
		{states(notify.ExtendTimeout(1<<63 - 1)), "EXTEND_TIMEOUT_USEC=9223372036854776"},
		{states(notify.RestartReset()), "RESTART_RESET=1"},
		{states(notify.NotifyAccess("none")), "NOTIFYACCESS=none"},
		{states(notify.NotifyAccess("main")), "NOTIFYACCESS=main"},
		{states(notify.NotifyAccess("exec")), "NOTIFYACCESS=exec"},
		{states(notify.NotifyAccess("all")), "NOTIFYACCESS=all"},
		{states(notify.FDStoreRemove("a name")), "FDSTOREREMOVE=1\nFDNAME=a name"},
		{states(notify.MainPID(7), notify.Ready(), notify.Status("x")), "MAINPID=7\nREADY=1\nSTATUS=x"},
		{states(notify.Status(strings.Repeat("x", 4096-len("STATUS=")))), "STATUS=" + strings.Repeat("x", 4096-len("STATUS="))},
	} {
		if err := n.Notify(test.states...); err != nil {
			t.Errorf("%.60q: %v", test.want, err)
			continue
		}
		if got := r.next(); got.text != test.want || len(got.fds) > 0 {
			t.Errorf("received %.80q with %d descriptors, want %.80q", got.text, len(got.fds), test.want)
		}
	}
	r.none()
}

func states(s ...notify.State) []notify.State { return s }

func TestReloadingCarriesTheTimeOfSending(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	state := notify.Reloading() // made before, sent after
	before := monotonic(t)
	if err := n.Notify(state, notify.Status("reloading")); err != nil {
		t.Fatal(err)
	}
	after := monotonic(t)
	lines := strings.Split(r.next().text, "\n")
	if len(lines) != 3 || lines[0] != "RELOADING=1" || lines[2] != "STATUS=reloading" {
		t.Fatalf("received %q", lines)
	}
	usec, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "MONOTONIC_USEC="), 10, 64)
	if err != nil || usec < before || usec > after {
		t.Errorf("%s is not from %d to %d", lines[1], before, after)
	}
}

// monotonic returns the microseconds of CLOCK_MONOTONIC.
func monotonic(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

// invalid is what the manager would drop or misread.
var invalid = []struct {
	states []notify.State
	say    string // part of the error
}{
	{states(notify.State{}), "zero State"},
	{states(notify.Ready(), notify.State{}), "zero State"},
	{states(notify.BusError(strings.Repeat("x", 4097-len("BUSERROR=")))), "4097 bytes"},
	{states(notify.Status("a"), notify.BusError(strings.Repeat("x", 4097-len("STATUS=a\nBUSERROR=")))), "4097 bytes"},
	{states(notify.Errno(4096)), "ERRNO=4096"},
	{states(notify.Errno(^syscall.Errno(0))), "ERRNO=-1"},
	{states(notify.BusError("a\nb")), `BUSERROR="a\nb"`},
	{states(notify.BusError("é")), `BUSERROR="é"`},
	{states(notify.BusError(`a"b`)), `BUSERROR="a\"b"`},
	{states(notify.VarlinkError(`a\b`)), `VARLINKERROR="a\\b"`},
	{states(notify.ExitStatus(-1)), "EXIT_STATUS=-1"},
	{states(notify.ExitStatus(256)), "EXIT_STATUS=256"},
	{states(notify.MainPID(0)), "MAINPID=0"},
	{states(notify.MainPID(-1)), "MAINPID=-1"},
	{states(notify.MainPIDFDID(1)), "MAINPIDFDID without MAINPID"},
	{states(notify.MainPIDFD(-1)), "descriptor -1"},
	{states(notify.WatchdogUsec(-time.Second)), "WATCHDOG_USEC=-1000000"},
	{states(notify.ExtendTimeout(-1)), "EXTEND_TIMEOUT_USEC=-1"},
	{states(notify.NotifyAccess("")), `NOTIFYACCESS=""`},
	{states(notify.NotifyAccess("All")), `NOTIFYACCESS="All"`},
	{states(notify.FDStore("a")), "0 descriptors"},
	{states(notify.FDStoreConn("a")), "0 descriptors"},
	{states(notify.FDStoreConn("a", nil)), "nil syscall.Conn"},
	{states(notify.FDStore("a", make([]int, 254)...)), "254 descriptors"},
	{states(notify.FDStore("a", -3)), "descriptor -3"},
	{states(notify.FDStore("a:b", 0)), `FDNAME="a:b"`},
	{states(notify.FDStore("a\nb", 0)), `FDNAME="a\nb"`},
	{states(notify.FDStore("\x7f", 0)), `FDNAME="\x7f"`},
	{states(notify.FDStore("é", 0)), `FDNAME="é"`},
	{states(notify.FDStore(strings.Repeat("x", 256), 0)), "256 bytes"},
	{states(notify.FDStoreRemove("")), "without a name"},
	{states(notify.FDStoreRemove("a:b")), `FDNAME="a:b"`},
	{states(notify.FDStoreNoPoll()), "FDPOLL without FDSTORE"},
	{states(notify.FDStoreNoPoll(), notify.FDStoreRemove("a")), "FDPOLL without FDSTORE"},
	{states(notify.FDStore("a", 0), notify.FDStore("b", 0)), "FDSTORE twice"},
	{states(notify.FDStore("a", 0), notify.FDStoreRemove("b")), "FDSTOREREMOVE"},
	{states(notify.FDStore("a", 0), notify.MainPIDFD(0)), "MAINPIDFD"},
	{states(notify.Status("a"), notify.Ready(), notify.Status("b")), "STATUS twice"},
	{states(notify.Watchdog(), notify.WatchdogTrigger()), "WATCHDOG twice"},
}

// TestInvalid: nothing of it may be sent.
func TestInvalid(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	for _, test := range invalid {
		err := n.Notify(test.states...)
		if !errors.Is(err, notify.ErrInvalid) || !strings.Contains(fmt.Sprint(err), test.say) {
			t.Errorf("want ErrInvalid with %q, got %v", test.say, err)
		}
	}
	r.none()
	// And what was refused leaves nothing in the next message.
	if err := n.Notify(notify.Ready()); err != nil {
		t.Fatal(err)
	}
	if got := r.next(); got.text != "READY=1" || len(got.fds) > 0 {
		t.Errorf("received %q with %d descriptors", got.text, len(got.fds))
	}
}

// texts are what a Status may be given, and what is sent.
var texts = []struct{ text, want string }{
	{"a\nSTOPPING=1", "a STOPPING=1"},
	{"a\rSTOPPING=1", "a STOPPING=1"},
	{"a\r\nb\vc\fd\u0085e\u2028f\u2029g\u00a0h", "a  b c d e f g h"},
	{"open conf\x00.yaml", "open conf\ufffd.yaml"},
	{"\xff\xc3", "\ufffd\ufffd"},
	{"\ufffd", "\ufffd"},
	{"\xed\xa0\x80", "\ufffd\ufffd\ufffd"}, // half of a surrogate pair
	{"\x1b[2J\x1b]0;title\a\x7f\u009b31m", "\ufffd[2J\ufffd]0;title\ufffd\ufffd\ufffd31m"},
	{"user\u202egnp.exe", "user\ufffdgnp.exe"}, // turns the line around
	{"می\u200cخواهم", "می\u200cخواهم"},
	{strings.Repeat("\x00", 1<<16), strings.Repeat("\ufffd", 1356) + "..."},
	{strings.Repeat("x", 1<<16), strings.Repeat("x", 4068) + "..."},
	{strings.Repeat("ä", 1<<16), strings.Repeat("ä", 2034) + "..."},
	{strings.Repeat("x", 4071), strings.Repeat("x", 4071)},
	{strings.Repeat("x", 4072), strings.Repeat("x", 4068) + "..."},
}

// TestText: what is said beside a text does not depend on it, in whatever
// order.
func TestText(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	for _, test := range texts {
		for _, order := range [][]notify.State{
			{notify.MainPID(7), notify.Ready(), notify.Status(test.text)},
			{notify.MainPID(7), notify.Status(test.text), notify.Ready()},
			{notify.Status(test.text), notify.MainPID(7), notify.Ready()},
		} {
			if err := n.Notify(order...); err != nil {
				t.Errorf("%.60q: %v", test.text, err)
				continue
			}
			got := strings.Split(r.next().text, "\n")
			slices.Sort(got)
			if want := []string{"MAINPID=7", "READY=1", "STATUS=" + test.want}; !slices.Equal(got, want) {
				t.Errorf("%.60q: received %.90q, want %.90q", test.text, got, want)
			}
		}
	}
	r.none()
}

// FuzzText looks for a text that breaks out of its line, does something to a
// terminal, or keeps the rest of a message from being sent.
func FuzzText(f *testing.F) {
	for _, test := range texts {
		f.Add(test.text)
	}
	f.Add("")
	f.Add("a\nREADY=1")
	r, n := pair(f)
	f.Fuzz(func(t *testing.T, text string) {
		r := receiver{t: t, fd: r.fd}
		if err := n.Notify(notify.Ready(), notify.Status(text), notify.FDStoreRemove("name")); err != nil {
			t.Fatal(err)
		}
		message := r.next().text
		got := strings.FieldsFunc(message, func(c rune) bool { return c == '\n' || c == '\r' })
		if len(got) != 4 || got[0] != "READY=1" || got[2] != "FDSTOREREMOVE=1" || got[3] != "FDNAME=name" {
			t.Fatalf("received %q", got)
		}
		if len(message) > 4096 || !utf8.ValidString(message) || strings.ContainsAny(message, "\x00\x1b") {
			t.Errorf("received %q", message)
		}
		printable := !strings.ContainsFunc(text, func(r rune) bool { return r == utf8.RuneError || !strconv.IsPrint(r) })
		if printable && len(text) < 4000 && got[1] != "STATUS="+text {
			t.Errorf("received %q for %q, which needs no change", got[1], text)
		}
	})
}

// FuzzName looks for a name that breaks out of its line.
func FuzzName(f *testing.F) {
	for _, name := range []string{"", "name", "a\nREADY=1", "a\rb", "\x00", "\xff", "…", strings.Repeat("x", 5000)} {
		f.Add(name)
	}
	r, n := pair(f)
	f.Fuzz(func(t *testing.T, name string) {
		err := n.Notify(notify.FDStoreRemove(name))
		if err != nil {
			if !errors.Is(err, notify.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		r := receiver{t: t, fd: r.fd}
		if got := r.next().text; got != "FDSTOREREMOVE=1\nFDNAME="+name || strings.ContainsAny(name, "\n\r") {
			t.Errorf("received %q", got)
		}
	})
}

func TestMicroseconds(t *testing.T) {
	for d, want := range map[time.Duration]int64{
		0: 0, 1: 1, -1: -1, 999: 1, 1000: 1, 1001: 2, -1001: -2, time.Second: 1000000,
		1<<63 - 1: 9223372036854776, -1 << 63: -9223372036854776,
	} {
		if got := notify.Microseconds(d); got != want {
			t.Errorf("%d ns: got %d, want %d", d, got, want)
		}
	}
}
