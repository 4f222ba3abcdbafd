package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/units"
)

const (
	// slowSuccessor is how long a successor takes to be ready that a stop is to
	// find half-way: somewhat less than a reload may take.
	slowSuccessor = 8 * time.Second
	// halfWay is how long after the reload the stop comes.
	halfWay = 500 * time.Millisecond
)

// second is what the cases count in: more than one where the machine is slow,
// of which the drain's margin for instance is to be enough for thirty services
// that end at a time.
var second = sync.OnceValue(func() time.Duration { return patience.Of(time.Second) })

// drainers are services whose instances are ports. Their flags are in a
// variable, and differ.
func drainers() units.Service {
	s := units.Service{
		Name:    "drainer@",
		Program: "/usr/bin/drainer",
		Args:    []string{"-listen", "127.0.0.1:%i", "$ARGUMENTS"},
		User:    "drainer",
		Network: units.LocalNetwork,
	}
	setting("Unit", "StartLimitIntervalSec", "0")(&s)
	return s
}

// A stopCase is a service that is stopped, and what it has to do when it is.
type stopCase struct {
	unit      string
	address   string
	timeout   time.Duration // TimeoutStopSec=
	extension time.Duration
	lameDuck  time.Duration
	hook      string // how long it takes, "" if there is none
	store     bool
	dynamic   bool
	reload    bool        // whether it is stopped during a reload
	again     bool        // whether every process of it is signalled once more, which to the main one means now
	requests  [][]request // by generation, the main one's last
}

type request struct {
	d   time.Duration
	how string
}

// specialStops are the cases that are not left to chance.
func specialStops() []stopCase {
	hour := request{d: time.Hour, how: "stubborn"}
	return []stopCase{
		{timeout: 2 * second(), extension: 6 * second(), requests: [][]request{{{d: 5 * second()}}}},
		{timeout: 2 * second(), extension: 6 * second(), requests: [][]request{{{d: 5 * second()}}, {{d: time.Millisecond}}}},
		{timeout: 2 * second(), extension: 2 * second(), requests: [][]request{{hour, {d: time.Hour, how: "chunks"}}}},
		{timeout: 5 * second(), reload: true, requests: [][]request{{{d: 2 * second()}, hour}}},
		{timeout: 5 * second(), reload: true, store: true, requests: [][]request{{{d: 3 * second()}}, {{d: 2 * second()}}}},
		{timeout: 20 * second(), again: true, requests: [][]request{{hour}, {hour}, {hour}}},
		{timeout: 20 * second(), again: true, store: true, requests: [][]request{{hour}, {hour}}},
	}
}

// drawStop draws a case.
func drawStop(r *rand.Rand) stopCase {
	c := stopCase{
		timeout: second() + drawDuration(r, 9*second()),
		store:   r.IntN(2) == 0,
		dynamic: r.IntN(4) == 0,
	}
	switch r.IntN(8) {
	case 0:
		c.hook = "hang"
	case 1:
		c.hook = "100ms"
	case 2:
		c.extension = second() + drawDuration(r, 4*second())
	case 3:
		c.lameDuck = drawDuration(r, 2*second())
	}
	for range []int{1, 1, 1, 2, 3}[r.IntN(5)] {
		var requests []request
		for range 1 + r.IntN(3) {
			how := []string{"", "chunks", "length", "stubborn"}[r.IntN(4)]
			requests = append(requests, request{drawDuration(r, 20*second()), how})
		}
		c.requests = append(c.requests, requests)
	}
	return c
}

func drawDuration(r *rand.Rand, limit time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(limit))).Truncate(time.Millisecond)
}

// settings are the lines of the unit that differ from case to case.
func (c stopCase) settings() string {
	arguments := ""
	for flag, value := range map[string]time.Duration{"extension": c.extension, "lame-duck": c.lameDuck} {
		if value > 0 {
			arguments += fmt.Sprintf("-%s %s ", flag, value)
		}
	}
	if c.hook != "" {
		arguments += "-hook " + c.hook
	}
	if c.reload {
		arguments += fmt.Sprintf("-ready %s -ready-from %d", slowSuccessor, len(c.requests)+1)
	}
	text := fmt.Sprintf("[Service]\nTimeoutStopSec=%dms\nEnvironment=\"ARGUMENTS=%s\"\n", c.timeout.Milliseconds(), arguments)
	if !c.store {
		text += "FileDescriptorStoreMax=0\n"
	}
	if c.dynamic {
		text += "User=\nGroup=\nDynamicUser=yes\n"
	}
	return text
}

// finish is how long a drain lets requests take: see OfUnit and WithHooks in
// internal/drainbudget/budget.go.
func (c stopCase) finish() time.Duration {
	margin := max(min(c.timeout/10, 2*time.Second), min(c.timeout/3, 500*time.Millisecond))
	whole := c.timeout + c.extension
	if c.hook != "" {
		left := whole - margin*5/8
		return whole - margin - max(left/10, min(left/4, 500*time.Millisecond))
	}
	return whole - margin
}
