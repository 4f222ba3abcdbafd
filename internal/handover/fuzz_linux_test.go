package handover_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"golang.org/x/sys/unix"
)

// FuzzReceive gives Peek and Receive packets that no heirloom program sent,
// with a memfd and other descriptors.
func FuzzReceive(f *testing.F) {
	f.Add([]byte(`{"type":"ready","listeners":["http"]}`), []byte(nil), uint8(0))
	f.Add([]byte(`{"type":"draining","report":{"connections":{"idle":1}}}`), []byte(nil), uint8(2))
	f.Add([]byte(`{"type":"state","name":"a","sizes":[1,2]}`), []byte("abc"), uint8(1))
	f.Add([]byte(`{"type":"connections","sizes":[1,2]}`), []byte("ab"), uint8(1))
	f.Add([]byte(`{"type":"state","sizes":[-1,9223372036854775807]}`), []byte("ab"), uint8(0))
	f.Add([]byte(`{"type":"state","states":["AA=="],"sizes":[]}`), []byte("ab"), uint8(0))
	f.Add([]byte("\xff"), []byte("x"), uint8(3))
	f.Add([]byte(`{"type":"draining","report":7}`), []byte("x"), uint8(1))
	f.Add([]byte(`{"type":"reloaded","outcome":{"reason":`), []byte(nil), uint8(0))
	f.Add([]byte(`{"type":"news","sizes":"none"}`), []byte("x"), uint8(2))
	f.Fuzz(func(t *testing.T, packet, content []byte, others uint8) {
		if len(packet) == 0 || len(packet) > 1<<16 {
			return
		}
		conn, fd := rawPair(t)
		sent := make([]int, others%4)
		if len(content) > 0 {
			sent = append([]int{memfd(t, content)}, sent...)
			defer unix.Close(sent[0])
		}
		sendRaw(t, fd, string(packet), sent...)
		seen := 0
		peekErr := conn.Peek(func(_ handover.Message, fds []int) {
			seen++
			fdutil.CloseAll(fds)
		})
		m, fds, err := conn.TryReceive()
		fdutil.CloseAll(fds)
		for _, err := range []error{peekErr, err} {
			if err != nil && !errors.Is(err, handover.ErrMalformed) {
				t.Errorf("%q: %v", packet, err)
			}
		}
		if err == nil && (peekErr != nil || seen != 1) || m.Type == handover.State && peekErr != nil {
			t.Errorf("%q: received %+v, %v, but peeked with %v", packet, m, err, peekErr)
		}
		if kept := len(sent) - len(fds); err == nil && kept != 0 && (kept != 1 || m.States == nil) {
			t.Errorf("%q: %d descriptors of %d came, with %d states", packet, len(fds), len(sent), len(m.States))
		}
	})
}

// FuzzStates cuts data into states, which must arrive as they were.
func FuzzStates(f *testing.F) {
	f.Add([]byte("abc"), uint16(1), uint16(1))
	f.Add(bytesOf(4097, 0), uint16(0), uint16(4096))
	f.Add(bytesOf(70_000, 0), uint16(100), uint16(0))
	f.Fuzz(func(t *testing.T, data []byte, first, each uint16) {
		ours, theirs := pair(t)
		sent := sentMessage{Message: handover.Message{Type: handover.State, Passed: handover.Passed{Name: "fuzz"}}, fds: []int{0}}
		for n := int(first); len(data) > 0 && len(sent.States) < handover.MaxDescriptors; n = int(each) {
			n = min(n, len(data))
			sent.States = append(sent.States, data[:n])
			data = data[n:]
		}
		sendAll(t, ours, []sentMessage{sent})
		checkPeek(t, theirs, []sentMessage{sent})
		checkReceive(t, theirs, []sentMessage{sent})
	})
}

// FuzzBounds sends texts and lists of any length: what only informs arrives,
// cut if need be, and what does not fit says so.
func FuzzBounds(f *testing.F) {
	f.Add("because", "job", "name", uint16(3), uint16(2))
	f.Add("\x00\xff\u2028<", "\x01", "<&>", uint16(60_000), uint16(60_000))
	f.Add("\U0001f333", "\xf0\x9f", "\\", uint16(5000), uint16(20))
	f.Fuzz(func(t *testing.T, reason, job, name string, times, count uint16) {
		if len(reason)*int(times) > 4<<20 || len(job)*int(count) > 4<<20 || len(name)*int(count) > 4<<20 {
			return
		}
		ours, theirs := pair(t)
		long, jobs, names := strings.Repeat(reason, int(times)), make([]string, count), make([]string, count)
		for i := range jobs {
			jobs[i], names[i] = job, name
		}
		m := handover.Message{
			Type:    handover.Draining,
			Reason:  long,
			Report:  &handover.Report{Jobs: jobs},
			Outcome: &handover.Outcome{Reason: long},
		}
		if err := ours.TrySend(m); err != nil {
			t.Fatal(err)
		}
		got, _, err := theirs.TryReceive()
		if err != nil || got.Report == nil || got.Outcome == nil || len(got.Report.Jobs) > len(jobs)+1 || got.Reason != got.Outcome.Reason {
			t.Fatalf("received %s, %v", got.Type, err)
		}
		m = handover.Message{Type: handover.Ready, Moving: handover.Moving{Listeners: names}}
		switch err := ours.TrySend(m); {
		case errors.Is(err, handover.ErrTooLarge):
		case err != nil:
			t.Fatal(err)
		default:
			if got, _, err := theirs.TryReceive(); err != nil || len(got.Listeners) != len(names) {
				t.Errorf("%d names came, %v, want %d", len(got.Listeners), err, len(names))
			}
		}
	})
}

// FuzzQueue does what each byte of a script says, and compares the queue with a
// slice.
func FuzzQueue(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 4, 4, 4, 4, 3, 3})
	f.Add([]byte{2, 2, 5, 4, 0, 4, 4, 4})
	f.Add([]byte{1, 5, 1, 5, 4, 5})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 100 {
			return
		}
		ours, theirs := pair(t)
		var queue []sentMessage
		for i, op := range script {
			next := sentMessage{Message: handover.Message{Type: handover.State, Count: i}}
			switch op % 6 {
			case 0:
			case 1:
				next.States, next.fds = [][]byte{bytesOf(i, op)}, []int{0, 1}
			case 2:
				next.States, next.fds = [][]byte{bytesOf(5000+i, op)}, []int{2}
			case 3:
				next.Type, next.fds = handover.Connections, []int{0, 1, 2}
			case 4:
				checkNext(t, theirs, &queue)
				continue
			case 5:
				checkPeek(t, theirs, queue)
				continue
			}
			if err := ours.TrySend(next.Message, next.fds...); err == nil {
				queue = append(queue, next)
			} else if !errors.Is(err, syscall.EAGAIN) {
				t.Fatal(err)
			}
		}
		checkReceive(t, theirs, queue)
	})
}

// checkNext takes one message from the queue, if there is one.
func checkNext(t *testing.T, conn *handover.Conn, queue *[]sentMessage) {
	t.Helper()
	if len(*queue) > 0 {
		checkReceive(t, conn, (*queue)[:1])
		*queue = (*queue)[1:]
		return
	}
	if m, fds, err := conn.TryReceive(); !errors.Is(err, syscall.EAGAIN) || len(fds) != 0 {
		t.Errorf("received %+v, %v, %v, want EAGAIN", m, fds, err)
	}
}
