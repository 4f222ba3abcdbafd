package sdtest

import (
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// waitTimeout is how long the Wait methods wait, as package patience stretches
// it.
const waitTimeout = time.Minute

// Property returns a property of a unit as systemctl show prints it, without
// the newline. A unit that does not exist has properties too, see LoadState. It
// fails the test when systemctl does.
func (m *Machine) Property(unit, name string) string {
	m.t.Helper()
	return strings.TrimSuffix(m.MustRun("systemctl", "show", "-P", name, "--", unit), "\n")
}

// Journal returns what journalctl prints with these arguments, after what was
// logged so far has been written. Lines begin with the host's monotonic time in
// seconds; pass "-o", "cat" for bare messages. It fails the test when
// journalctl does.
func (m *Machine) Journal(args ...string) string {
	m.t.Helper()
	m.MustRun("journalctl", "--sync")
	return m.MustRun("journalctl", append([]string{"--no-pager", "-q", "-o", "short-monotonic"}, args...)...)
}

// WaitActive waits until the unit's ActiveState is active. It fails the test
// after a minute or more, or at once when the unit has failed.
func (m *Machine) WaitActive(unit string) {
	m.t.Helper()
	m.Wait(unit+" to be active", func() bool {
		m.t.Helper()
		state := m.Property(unit, "ActiveState")
		if state == "failed" {
			m.t.Fatalf("%s failed:\n%s", unit, m.Journal("-u", unit))
		}
		return state == "active"
	})
}

// WaitInactive waits until the unit's ActiveState is inactive or failed. It
// fails the test after a minute or more.
func (m *Machine) WaitInactive(unit string) {
	m.t.Helper()
	m.Wait(unit+" to be inactive", func() bool {
		m.t.Helper()
		state := m.Property(unit, "ActiveState")
		return state == "inactive" || state == "failed"
	})
}

// Wait looks again and again whether cond holds, and fails the test, naming
// what was awaited, when it still does not after a minute, or what package
// patience makes of that. It is for what tells nobody of its changes; wait for
// an event where there is one.
func (m *Machine) Wait(what string, cond func() bool) {
	m.t.Helper()
	began := time.Now()
	if !patience.Until(waitTimeout, cond) {
		m.t.Fatalf("waited %v for %s", time.Since(began).Round(time.Second), what)
	}
}
