package notify_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/notify"
)

var self = strconv.Itoa(os.Getpid())

var watchdogs = []struct {
	usec, pid string
	want      time.Duration
	say       string // part of the error, if it is one
}{
	{usec: "", pid: "", want: 0},
	{usec: "", pid: self, want: 0},
	{usec: "", pid: "nonsense", want: 0},
	{usec: "20000000", pid: "", want: 20 * time.Second},
	{usec: "20000000", pid: self, want: 20 * time.Second},
	{usec: "20000000", pid: "1", want: 0},
	{usec: "1", pid: self, want: time.Microsecond},
	{usec: "9223372036854775", pid: self, want: 9223372036854775 * time.Microsecond},
	{usec: "9223372036854776", pid: self, say: `WATCHDOG_USEC="9223372036854776"`},
	{usec: "18446744073709551615", pid: self, say: "WATCHDOG_USEC="},
	{usec: "18446744073709551616", pid: self, say: "WATCHDOG_USEC="},
	{usec: "0", pid: self, say: `WATCHDOG_USEC="0"`},
	{usec: "-1", pid: self, say: `WATCHDOG_USEC="-1"`},
	{usec: "3s", pid: self, say: `WATCHDOG_USEC="3s"`},
	{usec: " 3", pid: self, say: `WATCHDOG_USEC=" 3"`},
	{usec: "3s", pid: "1", say: `WATCHDOG_USEC="3s"`},
	{usec: "3", pid: "self", say: `WATCHDOG_PID="self"`},
	{usec: "3", pid: "0", say: `WATCHDOG_PID="0"`},
	{usec: "3", pid: "-1", say: `WATCHDOG_PID="-1"`},
	{usec: "3", pid: "4294967297", say: `WATCHDOG_PID="4294967297"`},
}

func TestWatchdogInterval(t *testing.T) {
	for _, test := range watchdogs {
		t.Setenv("WATCHDOG_USEC", test.usec)
		t.Setenv("WATCHDOG_PID", test.pid)
		got, err := notify.WatchdogInterval()
		if test.say == "" {
			if got != test.want || err != nil {
				t.Errorf("%q for %q: got %v, %v, want %v", test.usec, test.pid, got, err, test.want)
			}
			continue
		}
		if got != 0 || !errors.Is(err, notify.ErrInvalid) || !strings.Contains(err.Error(), test.say) {
			t.Errorf("%q for %q: want ErrInvalid with %q, got %v, %v", test.usec, test.pid, test.say, got, err)
		}
		if os.Getenv("WATCHDOG_USEC") != test.usec {
			t.Error("the variable was changed")
		}
	}
}

func FuzzWatchdogInterval(f *testing.F) {
	for _, test := range watchdogs {
		f.Add(test.usec, test.pid)
	}
	f.Fuzz(func(t *testing.T, usec, pid string) {
		if strings.IndexByte(usec, 0) >= 0 || strings.IndexByte(pid, 0) >= 0 {
			return // no environment holds that
		}
		t.Setenv("WATCHDOG_USEC", usec)
		t.Setenv("WATCHDOG_PID", pid)
		got, err := notify.WatchdogInterval()
		if err != nil && (got != 0 || !errors.Is(err, notify.ErrInvalid)) || got < 0 {
			t.Errorf("%q for %q: got %v, %v", usec, pid, got, err)
		}
	})
}
