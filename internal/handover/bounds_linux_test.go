package handover_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"golang.org/x/sys/unix"
)

// TestReportIsCut sends the report of a generation with very many jobs, which
// arrives with as many of their names as there is room for.
func TestReportIsCut(t *testing.T) {
	for name, job := range map[string]string{
		"plain":      strings.Repeat("j", 100),
		"six for 1":  strings.Repeat("\x01", 100),
		"characters": strings.Repeat("é", 50),
		"empty":      "",
		"not UTF-8":  strings.Repeat("\xff", 30),
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := pair(t)
			jobs := make([]string, 20_000)
			for i := range jobs {
				jobs[i] = job
			}
			report := &handover.Report{Requests: 7, Jobs: jobs}
			if err := ours.Send(handover.Message{Type: handover.Draining, Report: report}); err != nil {
				t.Fatal(err)
			}
			m, _, err := theirs.Receive()
			if err != nil || m.Report == nil || m.Report.Requests != 7 {
				t.Fatalf("received %s, %v", m.Type, err)
			}
			got := m.Report.Jobs
			more := fmt.Sprintf("and %d more", len(jobs)-(len(got)-1))
			if len(got) < 100 || got[len(got)-1] != more || got[0] != strings.ToValidUTF8(job, "\ufffd") && name != "not UTF-8" {
				t.Errorf("%d jobs, the last is %q, want %q", len(got), got[len(got)-1], more)
			}
			if len(report.Jobs) != len(jobs) {
				t.Error("the sender's report was changed")
			}
		})
	}
}

func TestOneLongJobIsCut(t *testing.T) {
	ours, theirs := pair(t)
	report := &handover.Report{Jobs: []string{strings.Repeat("x", 1<<20)}}
	if err := ours.Send(handover.Message{Type: handover.Draining, Report: report}); err != nil {
		t.Fatal(err)
	}
	m, _, err := theirs.Receive()
	if err != nil || m.Report == nil || len(m.Report.Jobs) != 1 || !strings.HasSuffix(m.Report.Jobs[0], "xxx...") {
		t.Errorf("received %s, %v", m.Type, err)
	}
}

// TestReasonsAreCut cuts both kinds of reason, and no character in two.
func TestReasonsAreCut(t *testing.T) {
	for shift := range utf8.UTFMax {
		long := strings.Repeat("x", shift) + strings.Repeat("\U0001f333", 100_000)
		outcome := &handover.Outcome{Reason: long}
		ours, theirs := pair(t)
		for _, m := range []handover.Message{{Type: handover.Failed, Reason: long}, {Type: handover.Reloaded, Outcome: outcome}} {
			if err := ours.Send(m); err != nil {
				t.Fatal(err)
			}
			got, _, err := theirs.Receive()
			if err != nil {
				t.Fatal(err)
			}
			reason := got.Reason
			if got.Outcome != nil {
				reason = got.Outcome.Reason
			}
			kept, cut := strings.CutSuffix(reason, "...")
			if !cut || !strings.HasPrefix(long, kept) || len(kept) < 4000 {
				t.Errorf("%s: a reason of %d bytes, ending in %q", got.Type, len(reason), reason[max(0, len(reason)-10):])
			}
		}
		if outcome.Reason != long {
			t.Error("the sender's outcome was changed")
		}
	}
}

// TestTooLarge sends what cannot be cut: it is told what is too large, and
// nothing is sent.
func TestTooLarge(t *testing.T) {
	names := make([]string, 3000)
	bound := make([]handover.Bound, len(names))
	for i := range names {
		names[i] = fmt.Sprintf("a-listener-whose-name-is-so-long-that-it-takes-some-room-%d", i)
		bound[i] = handover.Bound{Name: names[i], Network: "unix", Address: "/run/a-service/" + names[i]}
	}
	for want, m := range map[string]handover.Message{
		"the list of 3000 bound listeners":      {Type: handover.Hello, Bound: bound},
		"the list of 3000 listeners of HTTP":    {Type: handover.Ready, Moving: handover.Moving{Listeners: names, Streams: names[:10]}},
		"the list of 3000 listeners of streams": {Type: handover.Retarget, Moving: handover.Moving{Streams: names, Listeners: names[:10]}},
		"the name":                              {Type: handover.State, Passed: handover.Passed{Name: strings.Repeat("n", 200_000)}},
		"the name of the listener":              {Type: handover.Connections, Batch: handover.Batch{Listener: strings.Repeat("n", 200_000)}},
	} {
		t.Run(want, func(t *testing.T) {
			ours, theirs := pair(t)
			for name, send := range map[string]func(handover.Message, ...int) error{"Send": ours.Send, "TrySend": ours.TrySend} {
				err := send(m, 0)
				if !errors.Is(err, handover.ErrTooLarge) || !strings.Contains(fmt.Sprint(err), want+" takes") ||
					!strings.Contains(fmt.Sprint(err), "at most 131072") {
					t.Errorf("%s: %v, want ErrTooLarge and %q", name, err, want)
				}
			}
			if got, _, err := theirs.TryReceive(); !errors.Is(err, syscall.EAGAIN) {
				t.Errorf("received %s, %v", got.Type, err)
			}
		})
	}
}

// TestLargestFits sends a list as long as may be.
func TestLargestFits(t *testing.T) {
	ours, theirs := pair(t)
	names := make([]string, 12_000)
	for i := range names {
		names[i] = fmt.Sprintf("name%03d", i%1000)
	}
	if err := ours.TrySend(handover.Message{Type: handover.Ready, Moving: handover.Moving{Listeners: names}}); err != nil {
		t.Fatal(err)
	}
	if m, _, err := theirs.TryReceive(); err != nil || len(m.Listeners) != len(names) {
		t.Errorf("%d names came, %v, want %d", len(m.Listeners), err, len(names))
	}
}

// TestSmallSendBuffer sends more than the socket may hold, where the
// administrator has made that little.
func TestSmallSendBuffer(t *testing.T) {
	ours, _ := pair(t)
	if err := ours.Control(func(fd int) { _ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 8<<10) }); err != nil {
		t.Fatal(err)
	}
	m := handover.Message{Type: handover.Ready, Moving: handover.Moving{Listeners: []string{strings.Repeat("x", 60_000)}}}
	for name, send := range map[string]func(handover.Message, ...int) error{"Send": ours.Send, "TrySend": ours.TrySend} {
		err := send(m)
		if !errors.Is(err, syscall.EMSGSIZE) || !strings.Contains(fmt.Sprint(err), "wmem_default") {
			t.Errorf("%s: %v, want EMSGSIZE and the name of the limit", name, err)
		}
	}
}

// TestLargestOfOthers receives a packet as large as may be, which this build
// would not send.
func TestLargestOfOthers(t *testing.T) {
	conn, fd := rawPair(t)
	job := strings.Repeat("j", 128<<10-len(`{"type":"draining","report":{"since":"2026-01-02T03:04:05Z","connections":{},"requests":3,"jobs":[""]}}`))
	sendRaw(t, fd, `{"type":"draining","report":{"since":"2026-01-02T03:04:05Z","connections":{},"requests":3,"jobs":["`+job+`"]}}`)
	sendRaw(t, fd, `{"type":"stop"}`)
	m, _, err := conn.Receive()
	if err != nil || m.Report == nil || m.Report.Requests != 3 || len(m.Report.Jobs) != 1 || m.Report.Jobs[0] != job {
		t.Errorf("received %s, %v", m.Type, err)
	}
	if m, _, err := conn.Receive(); err != nil || m.Type != handover.Stop {
		t.Errorf("received %+v, %v, want what comes after it", m, err)
	}
}

// TestLargerThanAnything receives more than there is room for, and what comes
// after it.
func TestLargerThanAnything(t *testing.T) {
	conn, fd := rawPair(t)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20); err != nil {
		t.Skipf("SO_SNDBUFFORCE: %v", err)
	}
	job := strings.Repeat("j", 600_000)
	sendRaw(t, fd, `{"type":"draining","report":{"requests":3,"jobs":["`+job+`"]}}`, 0)
	sendRaw(t, fd, `{"type":"state","name":"`+job+`"}`, 0)
	sendRaw(t, fd, `{"type":"stop"}`)
	seen := 0
	err := conn.Peek(func(m handover.Message, fds []int) {
		seen++
		fdutil.CloseAll(fds)
	})
	if seen != 1 || !errors.Is(err, handover.ErrMalformed) {
		t.Errorf("peeked at %d messages, %v, want the report, and ErrMalformed for the state", seen, err)
	}
	m, fds, err := conn.Receive()
	fdutil.CloseAll(fds)
	if err != nil || m.Report == nil || len(m.Report.Jobs) != 1 || !strings.Contains(m.Report.Jobs[0], "cannot be read: a packet of 131072 bytes or more") {
		t.Errorf("received %s, %v", m.Type, err)
	}
	if m, _, err := conn.Receive(); !errors.Is(err, handover.ErrMalformed) {
		t.Errorf("received %s, %v, want ErrMalformed", m.Type, err)
	}
	seen = 0
	err = conn.Peek(func(handover.Message, []int) { seen++ })
	if m, _, receiveErr := conn.Receive(); err != nil || seen != 1 || receiveErr != nil || m.Type != handover.Stop {
		t.Errorf("peeked at %d messages, %v; received %+v, %v", seen, err, m, receiveErr)
	}
}

// TestPeekBeyond peeks past a packet that is larger than there is room for.
func TestPeekBeyond(t *testing.T) {
	conn, fd := rawPair(t)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20); err != nil {
		t.Skipf("SO_SNDBUFFORCE: %v", err)
	}
	sendRaw(t, fd, `{"type":"main","outcome":{"reason":"`+strings.Repeat("r", 600_000)+`"}}`)
	sendRaw(t, fd, `{"type":"stop"}`)
	var types []handover.Type
	err := conn.Peek(func(m handover.Message, _ []int) { types = append(types, m.Type) })
	if err != nil || len(types) != 2 || types[0] != handover.Main || types[1] != handover.Stop {
		t.Errorf("peeked at %v, %v, want main and stop", types, err)
	}
}

// TestSalvage receives messages of which a part cannot be read.
func TestSalvage(t *testing.T) {
	for packet, good := range map[string]func(handover.Message) bool{
		`{"type":"draining","report":7}`: func(m handover.Message) bool {
			return m.Report != nil && strings.Contains(m.Report.Jobs[0], "its report cannot be read")
		},
		`{"type":"draining","report":{"requests":"many"}}`: func(m handover.Message) bool { return m.Report != nil && m.Report.Requests == 0 },
		`{"type":"draining","report":{"jo`:                 func(m handover.Message) bool { return m.Report != nil },
		`{"type":"reloaded","outcome":[]}`: func(m handover.Message) bool {
			return m.Outcome != nil && strings.Contains(m.Outcome.Reason, "cannot be read")
		},
		`{"type":"failed","reason":{}}`: func(m handover.Message) bool { return strings.Contains(m.Reason, "cannot be read") },
		`{"type":"main","outcome":""}`:  func(m handover.Message) bool { return m.Type == handover.Main && m.Outcome == nil },
		`{"type":"status","count":""}`:  func(m handover.Message) bool { return m.Type == handover.Status },
		`{"type":"news","count":"many"}`: func(m handover.Message) bool {
			return m.Type == "news" && m.Count == 0
		},
	} {
		conn, fd := rawPair(t)
		sendRaw(t, fd, packet)
		if m, _, err := conn.Receive(); err != nil || !good(m) {
			t.Errorf("%s: %+v, %v", packet, m, err)
		}
	}
}

// TestNotSalvaged receives messages that say who owns what, or until when,
// which nobody may guess.
func TestNotSalvaged(t *testing.T) {
	for _, kind := range []handover.Type{
		handover.Hello, handover.State, handover.Ready, handover.Go, handover.Serving, handover.Predecessor, handover.Retarget,
		handover.Connections, handover.Accepted, handover.Deadline, handover.Stop, handover.Reload,
	} {
		conn, fd := rawPair(t)
		sendRaw(t, fd, fmt.Sprintf(`{"type":%q,"count":"many","left":"long"}`, kind), 0)
		if m, _, err := conn.Receive(); !errors.Is(err, handover.ErrMalformed) {
			t.Errorf("%s: %+v, %v, want ErrMalformed", kind, m, err)
		}
	}
}
