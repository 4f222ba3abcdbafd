package handover_test

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"golang.org/x/sys/unix"
)

// A sentMessage is a message as it was sent, and its descriptors.
type sentMessage struct {
	handover.Message
	fds []int
}

// storedState is what a process may leave in a queue: small and large, with
// descriptors and without.
func storedState(t *testing.T) []sentMessage {
	t.Helper()
	files := make([]int, 8)
	for i := range files {
		c := pipe(t)
		t.Cleanup(c.close)
		files[i] = c.w
	}
	return []sentMessage{
		{handover.Message{Type: handover.Hello, Process: handover.Process{Protocol: handover.Protocol}, Count: 3}, nil},
		{handover.Message{Type: handover.State, Passed: handover.Passed{Name: "small"}, Payload: handover.Payload{States: [][]byte{bytesOf(9, 1)}}}, files[:2]},
		{handover.Message{Type: handover.Connections, Batch: handover.Batch{Listener: "http"}}, files[2:4]},
		{handover.Message{Type: handover.State, Passed: handover.Passed{Name: "large", Version: 2}, Payload: handover.Payload{States: [][]byte{bytesOf(1<<20, 2)}}}, files[4:6]},
		{handover.Message{Type: handover.Connections, Batch: handover.Batch{Stream: true}, Payload: handover.Payload{States: [][]byte{bytesOf(9000, 3), nil}}}, files[5:7]},
		{handover.Message{Type: handover.State, Passed: handover.Passed{Name: "files alone"}}, files[7:]},
		{handover.Message{Type: handover.State, Passed: handover.Passed{Name: "nothing"}}, nil},
		{handover.Message{Type: handover.Main, Outcome: &handover.Outcome{Generation: 2}}, nil},
	}
}

func sendAll(t *testing.T, conn *handover.Conn, messages []sentMessage) {
	t.Helper()
	for _, l := range messages {
		if err := conn.TrySend(l.Message, l.fds...); err != nil {
			t.Fatal(err)
		}
	}
}

// check compares what arrived with what was sent, and closes the descriptors.
func (l sentMessage) check(t *testing.T, got handover.Message, fds []int) {
	t.Helper()
	defer fdutil.CloseAll(fds)
	if !equalStates(got.States, l.States) {
		t.Errorf("%s %q: other states arrived", l.Type, l.Name)
	}
	want := l.Message
	got.States, want.States = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v arrived, want %+v", got, want)
	}
	if len(fds) != len(l.fds) {
		t.Fatalf("%s %q: %d descriptors arrived, want %d", l.Type, l.Name, len(fds), len(l.fds))
	}
	for i, fd := range fds {
		if !sameFile(t, fd, l.fds[i]) {
			t.Errorf("%s %q: descriptor %d is another", l.Type, l.Name, i)
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("%s %q: descriptor %d is not close-on-exec (%v)", l.Type, l.Name, i, err)
		}
	}
}

// checkPeek peeks at what waits, and that it is messages. Of what is no State
// nothing but the packet may come: no descriptor, so no memfd either.
func checkPeek(t *testing.T, conn *handover.Conn, messages []sentMessage) {
	t.Helper()
	offset, open, n := peekOffset(t, conn), len(openFiles(t)), 0
	err := conn.Peek(func(m handover.Message, fds []int) {
		defer func() { n++ }()
		if n >= len(messages) {
			t.Fatalf("peeked at %+v after the last message", m)
		}
		if now := len(openFiles(t)); now != open+len(fds) {
			t.Errorf("%s: %d descriptors are open, before it were %d, and it came with %d", m.Type, now, open, len(fds))
		}
		want := messages[n]
		if want.Type != handover.State {
			want.fds = nil
			want.States, m.States, m.Sizes = nil, nil, nil
		}
		want.check(t, m, fds)
	})
	if err != nil || n != len(messages) {
		t.Errorf("peeked at %d messages, %v, want %d", n, err, len(messages))
	}
	if after := peekOffset(t, conn); after != offset {
		t.Errorf("SO_PEEK_OFF is %d, before it was %d", after, offset)
	}
	if now := len(openFiles(t)); now != open {
		t.Errorf("%d descriptors are open, before it were %d", now, open)
	}
}

func checkReceive(t *testing.T, conn *handover.Conn, messages []sentMessage) {
	t.Helper()
	for _, l := range messages {
		m, fds, err := conn.TryReceive()
		if err != nil {
			t.Fatalf("received with %v, want %+v", err, l.Message)
		}
		l.check(t, m, fds)
	}
}

func peekOffset(t *testing.T, conn *handover.Conn) (offset int) {
	t.Helper()
	var err error
	controlErr := conn.Control(func(fd int) { offset, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF) })
	if err := errors.Join(controlErr, err); err != nil {
		t.Fatal(err)
	}
	return offset
}

// TestPeek looks at a queue twice by each of three descriptors of it, after
// which all is still there.
func TestPeek(t *testing.T) {
	ours, theirs := pair(t)
	messages := storedState(t)
	sendAll(t, ours, messages)
	ends := map[string]*handover.Conn{"it": theirs, "a duplicate": duplicate(t, theirs), "one passed on": passOn(t, theirs)}
	for range 2 {
		for name, end := range ends {
			t.Run(name, func(t *testing.T) { checkPeek(t, end, messages) })
		}
	}
	checkReceive(t, theirs, messages)
	checkPeek(t, theirs, nil)
}

func duplicate(t *testing.T, conn *handover.Conn) *handover.Conn {
	t.Helper()
	var copied int
	var err error
	controlErr := conn.Control(func(fd int) { copied, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3) })
	if err := errors.Join(controlErr, err); err != nil {
		t.Fatal(err)
	}
	return connOf(t, copied)
}

// passOn sends conn's end by another handover socket and returns what arrives.
func passOn(t *testing.T, conn *handover.Conn) *handover.Conn {
	t.Helper()
	from, to := pair(t)
	var err error
	controlErr := conn.Control(func(fd int) { err = from.TrySend(handover.Message{Type: handover.Predecessor}, fd) })
	_, fds, receiveErr := to.TryReceive()
	if err := errors.Join(controlErr, err, receiveErr); err != nil || len(fds) != 1 {
		t.Fatal(fds, err)
	}
	return connOf(t, fds[0])
}

func connOf(t *testing.T, fd int) *handover.Conn {
	t.Helper()
	conn, err := handover.FromDescriptor(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestPeekThenReceive takes a queue message by message, and sees the rest each
// time.
func TestPeekThenReceive(t *testing.T) {
	ours, theirs := pair(t)
	messages := storedState(t)
	sendAll(t, ours, messages)
	_ = ours.Close()
	for i := range messages {
		checkPeek(t, theirs, messages[i:])
		checkReceive(t, theirs, messages[i:i+1])
	}
	checkPeek(t, theirs, nil)
}

func TestPeekFullQueue(t *testing.T) {
	ours, theirs := pair(t)
	n := fill(t, ours)
	seen := 0
	err := theirs.Peek(func(m handover.Message, _ []int) {
		if m.Count != seen {
			t.Errorf("peeked at number %d, want %d", m.Count, seen)
		}
		seen++
	})
	if err != nil || seen != n {
		t.Errorf("peeked at %d messages, %v, want %d", seen, err, n)
	}
	if err := ours.TrySend(handover.Message{Type: handover.Go}); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("Peek has made room: %v", err)
	}
	for i := range n {
		expect(t, theirs.TryReceive, i, 1)
	}
}

// TestPeekNothing looks into a queue that is empty, and into one that stays so.
func TestPeekNothing(t *testing.T) {
	ours, theirs := pair(t)
	checkPeek(t, theirs, nil)
	_ = ours.Close()
	checkPeek(t, theirs, nil)
}

// TestPeekLastWords looks into the queue of a process that died with messages
// unread.
func TestPeekLastWords(t *testing.T) {
	ours, theirs := pair(t)
	messages := storedState(t)
	if err := theirs.Send(handover.Message{Type: handover.Go}); err != nil {
		t.Fatal(err)
	}
	sendAll(t, ours, messages)
	_ = ours.Close() // with Go unread
	checkPeek(t, theirs, messages)
	checkReceive(t, theirs, messages)
}

// TestPeekMalformed finds what is no message between two that are: Peek ends
// there, and takes nothing.
func TestPeekMalformed(t *testing.T) {
	packets := map[string]string{
		"no JSON":             "x",
		"an array":            "[]",
		"a State cut short":   `{"type":"state","states":["`,
		"a State of no bytes": `{"type":"state","states":["?"]}`,
		"a State that lies":   `{"type":"state","sizes":[4097]}`,
	}
	for name, packet := range packets {
		t.Run(name, func(t *testing.T) {
			conn, fd := rawPair(t)
			canary := pipe(t)
			defer canary.close()
			sendRaw(t, fd, `{"type":"go","count":1}`)
			sendRaw(t, fd, packet, canary.w, canary.w)
			sendRaw(t, fd, `{"type":"go","count":2}`)
			for range 2 {
				open, seen := len(openFiles(t)), 0
				err := conn.Peek(func(m handover.Message, _ []int) { seen++ })
				if !errors.Is(err, handover.ErrMalformed) || seen != 1 {
					t.Errorf("peeked at %d messages, %v, want 1 and ErrMalformed", seen, err)
				}
				if now, offset := len(openFiles(t)), peekOffset(t, conn); now != open || offset != -1 {
					t.Errorf("%d descriptors are open, before it were %d, and SO_PEEK_OFF is %d", now, open, offset)
				}
			}
			expect(t, conn.TryReceive, 1, 0)
			if m, fds, err := conn.TryReceive(); !errors.Is(err, handover.ErrMalformed) || len(fds) != 0 {
				t.Errorf("received %+v, %v, %v, want ErrMalformed", m, fds, err)
			}
			expect(t, conn.TryReceive, 2, 0)
			canary.release()
			if canary.held() {
				t.Error("somebody holds its descriptors")
			}
		})
	}
}

// TestPeekTruncated looks at a State when there is no room for all its
// descriptors: they are not lost.
func TestPeekTruncated(t *testing.T) {
	ours, theirs := pair(t)
	messages := storedState(t)
	sendAll(t, ours, messages)
	for room := range 3 { // of the three that the large State needs
		seen := 0
		var err error
		withRoomFor(t, room, func() {
			err = theirs.Peek(func(_ handover.Message, fds []int) {
				seen++
				fdutil.CloseAll(fds)
			})
		})
		want := 3 // the messages before it
		if room < 2 {
			want = 1
		}
		if !errors.Is(err, handover.ErrTruncated) || seen != want {
			t.Errorf("room for %d: peeked at %d messages, %v, want %d and ErrTruncated", room, seen, err, want)
		}
		checkPeek(t, theirs, messages)
	}
	checkReceive(t, theirs, messages)
}

// TestPeekTCP checks that connections in a queue go on while others look: the
// client notices nothing.
func TestPeekTCP(t *testing.T) {
	ours, theirs := pair(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	served, err := l.(*net.TCPListener).AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := served.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	controlErr := raw.Control(func(fd uintptr) { err = ours.TrySend(handover.Message{Type: handover.Connections}, int(fd)) })
	if err := errors.Join(controlErr, err, served.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(client, "hello"); err != nil {
		t.Fatal(err)
	}
	checkPeek(t, theirs, []sentMessage{{Message: handover.Message{Type: handover.Connections}}})
	_, fds, err := theirs.TryReceive()
	if err != nil || len(fds) != 1 {
		t.Fatal(fds, err)
	}
	conn, err := handover.NetConn(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hello := make([]byte, 16)
	if n, err := conn.Read(hello); err != nil || string(hello[:n]) != "hello" {
		t.Errorf("read %q, %v, want what the client wrote meanwhile", hello[:n], err)
	}
}

// TestPeekForgets looks at sessions of TLS. Their secrets are gone when it has,
// but for those in the queue.
func TestPeekForgets(t *testing.T) {
	ours, theirs := pair(t)
	secret := handover.Message{
		Type:    handover.Connections,
		Batch:   handover.Batch{TLS: true},
		Payload: handover.Payload{States: [][]byte{bytesOf(40, 1), bytesOf(40, 2)}},
	}
	messages := []sentMessage{{secret, nil}}
	sendAll(t, ours, messages)
	var seen [][]byte
	if err := theirs.Peek(func(m handover.Message, _ []int) { seen = m.States }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || !equalStates(seen, [][]byte{make([]byte, 40), make([]byte, 40)}) {
		t.Errorf("after a look the states are %v", seen)
	}
	checkReceive(t, theirs, messages)
}
