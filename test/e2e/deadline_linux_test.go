package e2e_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/units"
)

// newDrainer is a managed host whose program is the drainer.
func newDrainer(t *testing.T, v sdtest.Version, changes ...change) *managed {
	t.Helper()
	h := newManaged(t, v, changes...)
	h.install(program("drainer"))
	h.start()
	return h
}

// sleep has the service at a request that lasts an hour, unless it is given up.
func (h *managed) sleep(generation int) *sleeper {
	h.t.Helper()
	conn, err := h.machine.Dial(h.t.Context(), "tcp", h.target().Address)
	if err != nil {
		h.t.Fatal(err)
	}
	s, err := sleep(conn, generation, "held", "", time.Hour)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// giveUp closes the connection, by which the handler ends.
func (s *sleeper) giveUp() {
	_ = s.conn.Close()
	<-s.done
}

// stopSoon has systemd begin to stop the service, and returns where it stands
// when it drains and knows its deadline. The drain has begun in that time.
func (h *managed) stopSoon() (s lifecycle.Status, began interval) {
	h.t.Helper()
	began.from = time.Now()
	h.machine.MustRun("systemctl", "stop", "--no-block", "hello.service")
	h.wait("the service to know its deadline", func() bool {
		s = h.status()
		return s.State == lifecycle.Draining && s.Drain != nil && s.Drain.Source != ""
	})
	began.to = time.Now()
	return s, began
}

// dropIn changes settings of the service while it runs.
func (h *managed) dropIn(folder string, lines ...string) {
	h.t.Helper()
	h.machine.WriteFile(folder+"/hello.service.d/changed.conf", "[Service]\n"+strings.Join(lines, "\n")+"\n", 0o644)
	h.machine.MustRun("systemctl", "daemon-reload")
}

// TestDeadline stops a service whose TimeoutStopSec= was changed while it ran,
// by all ways there are: the deadline of the drain is what systemd goes by, and
// status and log say so.
func TestDeadline(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(h *managed)
		want   string // what systemctl show says; "" if systemd may refuse the change
	}{
		{"unit", func(*managed) {}, "50s"},
		{"drop-in", func(h *managed) { h.dropIn("/etc/systemd/system", "TimeoutStopSec=53") }, "53s"},
		{"drop-in for the time being", func(h *managed) { h.dropIn("/run/systemd/system.control", "TimeoutStopSec=1min 9s 500ms") }, "1min 9.500000s"},
		{"drop-in below that", func(h *managed) { h.dropIn("/etc/systemd/system", "TimeoutSec=31") }, "1min 9.500000s"},
		{"infinity", func(h *managed) { h.dropIn("/run/systemd/system.control", "TimeoutStopSec=infinity") }, "infinity"},
		{"set-property", func(h *managed) {
			_, _ = h.machine.Run("systemctl", "set-property", "hello.service", "TimeoutStopSec=41")
		}, ""},
	}
	for name, changes := range map[string][]change{
		"sandbox": nil, // with DynamicUser=yes
		"root":    {withoutSocket, setting("Service", "User", "root"), setting("Service", "Group", "root"), setting("Service", "PrivateUsers", "no"), setting("Service", "CapabilityBoundingSet", "~")},
	} {
		for _, v := range sdtest.Turn(t.Name()) {
			if !sdtest.Thorough(v) && (name == "root") == (v == sdtest.V252) {
				continue // by turns
			}
			t.Run(fmt.Sprintf("%s-%v", name, v), func(t *testing.T) {
				t.Parallel()
				h := newDrainer(t, v, append(changes, func(s *units.Service) { s.StopTimeout = 50 * time.Second })...)
				from := map[string]string{"sandbox": "unit file", "root": "D-Bus"}[name]
				if v == sdtest.V262 {
					from = "varlink"
				}
				first := false
				stop := func(change func(*managed), want string) {
					h.start()
					held := h.sleep(1)
					change(h)
					s, began := h.stopSoon()
					first = first || s.Drain.Source == from
					checkDeadline(t, h, s, began, want, from)
					held.giveUp()
					h.machine.WaitInactive("hello.service")
				}
				for _, test := range tests {
					t.Logf("%s:", test.name)
					stop(test.change, test.want)
				}
				for range 20 { // a busy machine may seldom answer in time
					if !first {
						stop(func(*managed) {}, "")
					}
				}
				if !first {
					t.Errorf("no deadline is from %s", from)
				}
			})
		}
	}
}

// sources are in the order in which they are asked, each for a seventh of a
// second at most.
var sources = []string{"varlink", "D-Bus", "unit file"}

// checkDeadline compares what status and log say with what systemd says, by
// that source or, if it took too long, one after it.
func checkDeadline(t *testing.T, h *managed, s lifecycle.Status, began interval, want, from string) {
	t.Helper()
	truth := h.machine.Property("hello.service", "TimeoutStopUSec")
	if truth != want && want != "" {
		t.Errorf("systemd says %s, want %s", truth, want)
	}
	timeout, logged := parseTimespan(t, truth), "infinity"
	if timeout > 0 {
		logged = timeout.String()
	}
	d := s.Drain
	if d.Timeout != timeout.Seconds() || slices.Index(sources, d.Source) < slices.Index(sources, from) || d.Phase != lifecycle.Finishing {
		t.Errorf("status says %+v, want %v from %s", *d, timeout, from)
	}
	checkEnds(t, s, began, timeout)
	log := ""
	line := regexp.MustCompile(fmt.Sprintf(`drain deadline: timeout=%s from="?%s"? requests=\S+\n`, logged, d.Source))
	patience.Until(30*time.Second, func() bool { // the log may be late
		log = h.machine.Journal("-o", "cat", "_PID="+itoa(s.PID))
		return line.MatchString(log)
	})
	if len(line.FindAllString(log, -1)) != 1 {
		t.Errorf("the log does not say %v once:\n%s", line, log)
	}
}

// checkEnds checks when requests are to end: a tenth before systemd would kill.
func checkEnds(t *testing.T, s lifecycle.Status, began interval, timeout time.Duration) {
	t.Helper()
	if timeout == 0 {
		if !s.Drain.Ends.IsZero() {
			t.Errorf("the drain ends at %v, want no end", s.Drain.Ends)
		}
		return
	}
	margin := min(timeout/10, 2*time.Second)
	if b := s.Drain.Ends.Add(margin - timeout); b.Before(began.from) || b.After(began.to) {
		t.Errorf("the drain ends %v after %v, and began before %v, want %v less than %v",
			s.Drain.Ends.Sub(began.from), began.from, began.to, margin, timeout)
	}
}

// parseTimespan reads what systemctl show prints, 0 for infinity.
func parseTimespan(t *testing.T, text string) time.Duration {
	t.Helper()
	if text == "infinity" {
		return 0
	}
	d, err := time.ParseDuration(strings.NewReplacer("min", "m", " ", "").Replace(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestOwnDeadline sets Options.DrainTimeout: it counts, and not the unit's.
func TestOwnDeadline(t *testing.T) {
	t.Parallel()
	h := newDrainer(t, sdtest.V257, func(s *units.Service) { s.Args = []string{"-drain", "7s"} })
	held := h.sleep(1)
	s, _ := h.stopSoon()
	if d := s.Drain; d.Timeout != 7 || d.Source != "Options.DrainTimeout" {
		t.Errorf("status says %+v, want 7 s from Options.DrainTimeout", *d)
	}
	held.giveUp()
	h.machine.WaitInactive("hello.service")
}
