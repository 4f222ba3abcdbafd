package predecessor

import (
	"fmt"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// handshakeTimeout bounds the wait for the messages that the predecessor wrote
// before it started this process.
const handshakeTimeout = 5 * time.Second

// Meet reads the messages that the predecessor, which is process pid, left on
// the handover socket, and returns its Hello. state is called for each State,
// and owns its descriptors. Meet owns conn: it is closed, once the predecessor
// has been sent the error, or it is the Predecessor's.
func Meet(conn *handover.Conn, pid int, state func(m handover.Message, fds []int)) (*Predecessor, handover.Message, error) {
	_ = conn.SetReadDeadline(time.Now().Add(handshakeTimeout))
	m, err := readHello(conn, state)
	if err != nil {
		err = fmt.Errorf("handover from process %d: %w", pid, err)
		_ = conn.TrySend(handover.Message{Type: handover.Failed, Reason: err.Error()})
		_ = conn.Close()
		return nil, m, err
	}
	_ = conn.SetReadDeadline(time.Time{})
	return New(conn, pid, m.Generation), m, nil
}

// readHello reads what process this one succeeds, and the states that it
// passes.
func readHello(conn *handover.Conn, state func(m handover.Message, fds []int)) (handover.Message, error) {
	hello, fds, err := conn.Receive()
	fdutil.CloseAll(fds)
	if err == nil {
		err = hello.CheckHello()
	}
	if err != nil {
		return hello, err
	}
	for got := 0; got < hello.Count; {
		m, fds, err := conn.Receive()
		switch {
		case err != nil:
			fdutil.CloseAll(fds)
			return hello, err
		case m.Type != handover.State: // of a later version, which puts up with its being ignored
			fdutil.CloseAll(fds)
			continue
		}
		state(m, fds)
		got++
	}
	return hello, nil
}
