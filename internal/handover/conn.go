package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// MaxDescriptors is how many descriptors a Message may carry. The kernel's own
// limit, SCM_MAX_FD, is 253; Send may need one.
const MaxDescriptors = 250

var (
	// ErrMalformed is matched by the error for a packet that is no Message.
	ErrMalformed = errors.New("malformed handover message")
	// ErrTruncated is matched by the error for a message of whose
	// descriptors the kernel could deliver only some, because the process
	// has too many open. Those that came are returned with it.
	ErrTruncated = errors.New("descriptors lost on the handover socket")
	// ErrProtocol is matched by an error of CheckHello.
	ErrProtocol = errors.New("handover protocol of another version")
)

// A Conn is one end of a handover socket. Any goroutine may Send; one at a time
// may Receive.
type Conn struct {
	unix *net.UnixConn

	packet, oob []byte // Receive's buffers
}

// NewConn makes a Conn of one end of a pair and owns it from then on.
func NewConn(unix *net.UnixConn) *Conn {
	return &Conn{unix: unix}
}

// Send sends m, and with it duplicates of descriptors, which remain the
// caller's. It waits while the other side is slow to read, and returns an error
// matching syscall.EPIPE when there is no other side any more.
//
// What only informs, a Reason or the Jobs of a Report, is cut to fit; if the
// rest does not fit into one packet the error matches ErrTooLarge, names what
// takes the room, and nothing was sent.
func (c *Conn) Send(m Message, descriptors ...int) error {
	return c.send(c.unix.WriteMsgUnix, m, descriptors)
}

// TrySend is Send that does not wait: when the queue of the other side is full,
// the error matches syscall.EAGAIN and nothing was sent.
func (c *Conn) TrySend(m Message, descriptors ...int) error {
	return c.send(c.tryWrite, m, descriptors)
}

type writeFunc func(packet, oob []byte, _ *net.UnixAddr) (int, int, error)

func (c *Conn) send(write writeFunc, m Message, descriptors []int) error {
	m = clipReasons(m)
	if size(m.States) > maxInline {
		memfd, err := pack(&m)
		if err != nil {
			return fmt.Errorf("send %s: %w", m.Type, err)
		}
		defer fdutil.CloseAll([]int{memfd})
		descriptors = append([]int{memfd}, descriptors...)
	}
	m.Report = cutJobs(m.Report)
	packet, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode %s: %w", m.Type, err)
	}
	if m.TLS {
		defer clear(packet)
	}
	if len(packet) > maxPacket {
		return fmt.Errorf("send %s: %w", m.Type, m.tooLarge(packet))
	}
	_, _, err = write(packet, rights(descriptors), nil)
	if wasReset(err) {
		_, _, err = write(packet, rights(descriptors), nil)
	}
	switch {
	case exceedsSocket(err): // unix_dgram_sendmsg in the kernel's net/unix/af_unix.c
		return fmt.Errorf("send %s: its %d bytes exceed the buffer of the socket (net.core.wmem_default): %w", m.Type, len(packet), err)
	case err != nil:
		return fmt.Errorf("send %s: %w", m.Type, err)
	}
	return nil
}

// Receive returns the next message and the descriptors that came with it, which
// are the caller's, close-on-exec and in the order in which they were sent. It
// returns io.EOF when the other side is gone, and an error matching
// os.ErrDeadlineExceeded, with no message lost, after SetReadDeadline.
func (c *Conn) Receive() (Message, []int, error) {
	return c.receive(c.unix.ReadMsgUnix)
}

// TryReceive is Receive that does not wait: when there is no message, the error
// matches syscall.EAGAIN.
func (c *Conn) TryReceive() (Message, []int, error) {
	return c.receive(c.tryRead)
}

type readFunc func(packet, oob []byte) (n, oobn, flags int, _ *net.UnixAddr, err error)

func (c *Conn) receive(read readFunc) (Message, []int, error) {
	if c.packet == nil {
		c.packet, c.oob = make([]byte, maxPacket), make([]byte, rightsSpace)
	}
	n, oobn, flags, _, err := read(c.packet, c.oob)
	if wasReset(err) {
		n, oobn, flags, _, err = read(c.packet, c.oob)
	}
	switch {
	case errors.Is(err, io.EOF):
		descriptors, _ := parseRights(c.oob[:oobn]) // an empty packet may carry some
		fdutil.CloseAll(descriptors)
		return Message{}, nil, io.EOF
	case err != nil:
		return Message{}, nil, fmt.Errorf("receive from the handover socket: %w", err)
	}
	return parse(c.packet[:n], c.oob[:oobn], flags)
}

func parse(packet, oob []byte, flags int) (Message, []int, error) {
	descriptors, err := parseRights(oob)
	if err != nil {
		return Message{}, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	m, err := decode(packet)
	if m.TLS {
		clear(packet)
	}
	if err == nil && len(m.Sizes) > 0 {
		descriptors, err = takeStates(&m, descriptors, flags)
	}
	switch {
	case err != nil:
		fdutil.CloseAll(descriptors)
		return Message{}, nil, err
	case truncated(flags):
		return m, descriptors, ErrTruncated
	}
	return m, descriptors, nil
}

// decode makes a message of a packet, ignoring the fields that this build does
// not know.
func decode(packet []byte) (Message, error) {
	var m Message
	err := json.Unmarshal(packet, &m)
	if err == nil {
		return m, nil
	}
	if len(packet) >= maxPacket {
		err = fmt.Errorf("a packet of %d bytes or more: %w", len(packet), err)
	}
	if m, ok := salvage(packet, err); ok {
		return m, nil
	}
	return Message{}, fmt.Errorf("%w: %w", ErrMalformed, err)
}

// takeStates fetches the States of m from the memfd ahead of its descriptors,
// and returns those. Without a memfd there are no States, which only a lack of
// descriptors excuses.
func takeStates(m *Message, descriptors []int, flags int) ([]int, error) {
	if len(descriptors) == 0 {
		if !truncated(flags) {
			return nil, fmt.Errorf("%w: %d states without their memfd", ErrMalformed, len(m.Sizes))
		}
		return nil, nil
	}
	err := unpack(m, descriptors[0])
	fdutil.CloseAll(descriptors[:1])
	if err != nil {
		return descriptors[1:], fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return descriptors[1:], nil
}

// SetReadDeadline makes a waiting or later Receive fail once t has passed; the
// zero time lets it wait forever.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.unix.SetReadDeadline(t)
}

// SetWriteDeadline does the same for Send.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.unix.SetWriteDeadline(t)
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	return c.unix.SetDeadline(t)
}

// Control calls f with the descriptor of this end, which stays the Conn's and
// is valid until f returns.
func (c *Conn) Control(f func(fd int)) error {
	raw, err := c.unix.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { f(int(fd)) })
}

// Close closes this end. The other side receives the messages sent before, then
// io.EOF, unless another process holds this end as well.
func (c *Conn) Close() error {
	return c.unix.Close()
}
