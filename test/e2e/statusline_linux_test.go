package e2e_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/units"
)

// TestStatusLine reloads three times, with a request in each generation, and
// then stops: all the while `systemctl status` says in a line what is waited
// for.
func TestStatusLine(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			h := newDrainer(t, v, func(s *units.Service) { s.StopTimeout = patience.Of(time.Minute).Truncate(time.Second) })
			var held []*sleeper
			for generation := 1; generation <= 3; generation++ {
				held = append(held, h.sleep(generation))
				mustReload(t, h)
			}
			draining := `generation 3 draining: 1 request, \d+ s left; generation 2 draining: 1 request, \d+ s left; generation 1 draining: 1 request, \d+ s left`
			awaitStatusLine(t, h, `generation 4, ready; `+draining)

			for _, s := range held {
				s.giveUp()
			}
			h.wait("the line to say that nothing is waited for", func() bool { return h.statusLine() == "generation 4, ready" })

			held = nil
			for generation := 4; generation <= 6; generation++ {
				held = append(held, h.sleep(generation))
				mustReload(t, h)
			}
			held = append(held, h.sleep(7))
			h.machine.MustRun("systemctl", "stop", "--no-block", "hello.service")
			draining = strings.NewReplacer("3 d", "6 d", "2 d", "5 d", "1 d", "4 d").Replace(draining)
			watchStatusLine(t, h, `generation 7, finishing: 1 request, \d+ s left; `+draining)
			checkStopping(t, h)
			for _, s := range held {
				s.giveUp()
			}
			h.machine.WaitInactive("hello.service")
			checkNothingLeft(t, h)
		})
	}
}

// checkStopping checks that the people who ask during a stop are told so.
func checkStopping(t *testing.T, h *managed) {
	t.Helper()
	if s := h.status(); s.State != lifecycle.Draining || len(s.Predecessors) != 3 || s.Requests != 1 {
		t.Errorf("status %+v, want that it drains, with three predecessors", s)
	}
	out, err := h.machine.Run(control, "reload")
	if err == nil || !strings.Contains(out, lifecycle.ErrStopping.Error()) {
		t.Errorf("a reload during the stop: %v, %q, want it to fail and say that the service is stopping", err, out)
	}
	if display := h.display(); !strings.Contains(display, `Status: "generation 7, finishing: 1 request, `) {
		t.Errorf("systemctl status shows:\n%s", display)
	}
	h.wait("the journal to say what the stop waits for", func() bool {
		return strings.Contains(h.machine.Journal("-u", "hello.service"), `the stop takes long: status="finishing: 1 request, `)
	})
}

func (h *managed) statusLine() string { return h.machine.Property("hello.service", "StatusText") }

// awaitStatusLine waits until the line is as want says, from its beginning to
// its end.
func awaitStatusLine(t *testing.T, h *managed, want string) *regexp.Regexp {
	t.Helper()
	line, text := regexp.MustCompile("^"+want+"$"), ""
	if !patience.Until(30*time.Second, func() bool { text = h.statusLine(); return line.MatchString(text) }) {
		t.Fatalf("the line is %q, want %s", text, want)
	}
	return line
}

// watchStatusLine awaits the line, and then sees it change a few times, no more
// than about once a second.
func watchStatusLine(t *testing.T, h *managed, want string) {
	t.Helper()
	line := awaitStatusLine(t, h, want)
	seen := make(map[string]bool)
	began := time.Now()
	changes := patience.Until(30*time.Second, func() bool {
		text := h.statusLine()
		if strings.Contains(text, "it did not answer in time") {
			return false // of a generation that had to wait for the processor
		}
		if !line.MatchString(text) {
			t.Errorf("the line has become %q, want %s", text, want)
		}
		seen[text] = true
		return len(seen) >= 5
	})
	if took := time.Since(began); !changes || len(seen) > 3+int(took/time.Second) { // a busy machine may be late once
		t.Errorf("in %v the line had %d forms: %s", took, len(seen), fmt.Sprint(seen))
	}
}
