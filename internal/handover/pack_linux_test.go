package handover_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"golang.org/x/sys/unix"
)

// TestStates sends states of all sizes, with a descriptor each, and checks
// which of them travel in a memfd.
func TestStates(t *testing.T) {
	tests := map[string]struct {
		sizes []int
		memfd bool
	}{
		"none":              {nil, false},
		"of 0 bytes":        {[]int{0}, false},
		"of 1 byte":         {[]int{1}, false},
		"of 4096 bytes":     {[]int{4096}, false},
		"of 4097 bytes":     {[]int{4097}, true},
		"of 1 MiB":          {[]int{1 << 20}, true},
		"4096 together":     {[]int{0, 4000, 96, 0}, false},
		"4097 together":     {[]int{0, 4000, 0, 97, 0}, true},
		"250 of 0 bytes":    {make([]int, handover.MaxDescriptors), false},
		"250 of 64 KiB":     {slices.Repeat([]int{64 << 10}, handover.MaxDescriptors), true},
		"all but one empty": {append(make([]int, handover.MaxDescriptors-1), 5000), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ours, theirs := pair(t)
			sent := sentMessage{Message: handover.Message{Type: handover.Connections}}
			for i, n := range test.sizes {
				sent.States = append(sent.States, bytesOf(n, byte(i)))
				sent.fds = append(sent.fds, i%3)
			}
			sendAll(t, ours, []sentMessage{sent})
			err := theirs.Peek(func(m handover.Message, _ []int) {
				if packed := m.Sizes != nil; packed != test.memfd {
					t.Errorf("its states are in a memfd: %t, want %t", packed, test.memfd)
				}
			})
			if err != nil {
				t.Error(err)
			}
			checkReceive(t, theirs, []sentMessage{sent})
		})
	}
}

// TestStatesAreApart checks that one who appends to a state does not write into
// the next.
func TestStatesAreApart(t *testing.T) {
	ours, theirs := pair(t)
	sent := handover.Message{Type: handover.Connections, Payload: handover.Payload{States: [][]byte{bytesOf(5000, 1), bytesOf(10, 2)}}}
	if err := ours.Send(sent); err != nil {
		t.Fatal(err)
	}
	got, _, err := theirs.Receive()
	if err != nil || len(got.States) != 2 {
		t.Fatal(len(got.States), err)
	}
	_ = append(got.States[0], "new"...)
	if !equalStates(got.States, sent.States) {
		t.Error("the second state has changed")
	}
	if len(sent.States) != 2 || sent.Sizes != nil {
		t.Error("Send has changed the sender's message")
	}
}

// TestTooMuchState sends a byte more than a message may have, of pieces that
// are one in memory.
func TestTooMuchState(t *testing.T) {
	ours, theirs := pair(t)
	piece := make([]byte, 1<<20)
	m := handover.Message{Type: handover.State, Payload: handover.Payload{States: append(slices.Repeat([][]byte{piece}, handover.MaxStates>>20), []byte("x"))}}
	for name, send := range map[string]func(handover.Message, ...int) error{"Send": ours.Send, "TrySend": ours.TrySend} {
		if err := send(m, 0); err == nil || !strings.Contains(err.Error(), fmt.Sprint(handover.MaxStates+1)) {
			t.Errorf("%s: %v, want an error that names the %d bytes", name, err, handover.MaxStates+1)
		}
	}
	if m, _, err := theirs.TryReceive(); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("received %+v, %v, want nothing", m, err)
	}
}

// TestNoRoomForMemfd sends from a process that can open nothing any more.
func TestNoRoomForMemfd(t *testing.T) {
	ours, theirs := pair(t)
	var small, large error
	withRoomFor(t, 0, func() {
		large = ours.TrySend(handover.Message{Type: handover.State, Payload: handover.Payload{States: [][]byte{bytesOf(4097, 0)}}}, 0)
		small = ours.TrySend(handover.Message{Type: handover.State, Payload: handover.Payload{States: [][]byte{bytesOf(4096, 0)}}, Count: 1}, 0)
	})
	if !errors.Is(large, syscall.EMFILE) || small != nil {
		t.Errorf("sent a large state with %v, want EMFILE, and a small one with %v", large, small)
	}
	expect(t, theirs.TryReceive, 1, 1)
}

// TestTruncatedStates receives states in a memfd in a process that cannot take
// all descriptors. The memfd is the first.
func TestTruncatedStates(t *testing.T) {
	states := [][]byte{bytesOf(5000, 1), bytesOf(70_000, 2), nil}
	for room := range 5 {
		t.Run(fmt.Sprint("room for ", room), func(t *testing.T) {
			ours, theirs := pair(t)
			if err := ours.TrySend(handover.Message{Type: handover.Connections, Payload: handover.Payload{States: states}}, 0, 1, 2); err != nil {
				t.Fatal(err)
			}
			var m handover.Message
			var fds []int
			var err error
			withRoomFor(t, room, func() { m, fds, err = theirs.TryReceive() })
			fdutil.CloseAll(fds)
			if truncated := room < 4; truncated != errors.Is(err, handover.ErrTruncated) || !truncated && err != nil {
				t.Errorf("received with %v", err)
			}
			if m.Type != handover.Connections || len(fds) != max(0, room-1) {
				t.Errorf("received %q and %d descriptors, want connections and %d", m.Type, len(fds), max(0, room-1))
			}
			if room == 0 && m.States != nil || room > 0 && !equalStates(m.States, states) {
				t.Errorf("received %d states", len(m.States))
			}
		})
	}
}

// memfd returns a memfd of content.
func memfd(t testing.TB, content []byte) int {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Pwrite(fd, content, 0); err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestSizesThatLie receives messages whose Sizes are not those of the memfd
// they come with.
func TestSizesThatLie(t *testing.T) {
	inMemfd := func(n int) func(*testing.T) int {
		return func(t *testing.T) int { return memfd(t, bytesOf(n, 0)) }
	}
	tests := map[string]struct {
		sizes string
		first func(*testing.T) int // the descriptor where a memfd is expected; nil for none
	}{
		"negative":                    {"[-1]", inMemfd(10)},
		"negative in between":         {"[5,-1,5]", inMemfd(10)},
		"negative, the sum is right":  {"[11,-1]", inMemfd(10)},
		"lowest":                      {"[-9223372036854775808]", inMemfd(10)},
		"too large":                   {fmt.Sprintf("[%d]", handover.MaxStates+1), inMemfd(10)},
		"too large together":          {fmt.Sprintf("[%d,1]", handover.MaxStates), inMemfd(10)},
		"highest":                     {"[9223372036854775807]", inMemfd(10)},
		"overflowing to 0":            {"[4611686018427387904,4611686018427387904,4611686018427387904,4611686018427387904]", inMemfd(10)},
		"overflowing to less":         {"[10,9223372036854775807,9223372036854775807,2]", inMemfd(10)},
		"overflowing int":             {"[18446744073709551616]", inMemfd(10)},
		"no integer":                  {"[1.5]", inMemfd(10)},
		"one more than the memfd has": {"[4,7]", inMemfd(10)},
		"of an empty memfd":           {"[1]", inMemfd(0)},
		"no memfd at all":             {"[10]", nil},
		"no memfd, of nothing":        {"[0]", nil},
		"a pipe for a memfd":          {"[10]", func(t *testing.T) int { c := pipe(t); c.release(); return c.r }},
		"a socket for a memfd":        {"[10]", func(t *testing.T) int { return tcpSockets(t, 1)[0] }},
		"a folder for a memfd":        {"[10]", folder},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			conn, fd := rawPair(t)
			canary := pipe(t)
			defer canary.close()
			var fds []int
			if test.first != nil {
				fds = []int{test.first(t), canary.w, canary.w}
			}
			sendRaw(t, fd, `{"type":"connections","sizes":`+test.sizes+`}`, fds...)
			sendRaw(t, fd, `{"type":"go","count":1}`)
			if fds != nil {
				_ = unix.Close(fds[0])
			}
			if m, got, err := conn.TryReceive(); !errors.Is(err, handover.ErrMalformed) || len(got) != 0 {
				t.Errorf("received %+v, %v, %v, want ErrMalformed", m, got, err)
			}
			canary.release()
			if canary.held() {
				t.Error("somebody holds its descriptors")
			}
			expect(t, conn.TryReceive, 1, 0)
		})
	}
}

func folder(t *testing.T) int {
	t.Helper()
	fd, err := unix.Open(os.TempDir(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}
