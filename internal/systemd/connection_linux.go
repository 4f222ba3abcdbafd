package systemd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/godbus/dbus/v5"
)

// A connection is for one goroutine, one call after the other, with a peer to
// be trusted: only a manager or a bus can listen on these sockets. It speaks
// varlink, see varlink_linux.go, or D-Bus. Of godbus it uses the messages only:
// its connections send BEGIN and then a message, which hangs on a manager's own
// socket whenever the manager reads both at once. sd-bus, at the other end,
// then holds the message in its buffer until more arrives
// (bus_socket_auth_verify_server of systemd).
type connection struct {
	net.Conn
	reader  *bufio.Reader
	serial  uint32      // of the last call
	release func() bool // from the end of ctx
}

// dial returns a connection that breaks when ctx is done. Before that nothing
// waits: connect(2) of a Unix socket that does not block fails when the
// listener's queue is full.
func dial(ctx context.Context, d door) (*connection, error) {
	socket, err := new(net.Dialer).DialContext(ctx, "unix", d.path)
	if err != nil {
		return nil, err
	}
	conn := &connection{Conn: socket, reader: bufio.NewReader(socket)}
	conn.release = context.AfterFunc(ctx, func() { _ = socket.Close() })
	if d.speaks == Varlink {
		return conn, nil
	}
	if err := conn.greet(d.bus); err != nil {
		conn.close()
		return nil, err
	}
	return conn, nil
}

func (c *connection) close() {
	c.release()
	_ = c.Close()
}

// greet introduces this process, which the peer knows by SO_PEERCRED, with the
// same bytes as sd-bus does (bus_socket_start_auth_client): without a user id,
// which is another one inside a user namespace; and with BEGIN before the
// answer, so that it cannot be read together with what follows the answer.
func (c *connection) greet(bus bool) error {
	if _, err := c.Write([]byte("\x00AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")); err != nil {
		return fmt.Errorf("authenticate: %w", err)
	}
	for _, want := range []string{"DATA", "OK"} {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("authenticate: %w", err)
		}
		if word, _, _ := strings.Cut(strings.TrimSpace(string(line)), " "); word != want {
			return fmt.Errorf("authenticate: answer %q, want %s", line, want)
		}
	}
	if !bus {
		return nil
	}
	// A bus disconnects a client that says anything else first.
	_, err := c.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
	return err
}

// call returns the values of the answer. One that is an error comes back as a
// dbus.Error.
func (c *connection) call(peer string, object dbus.ObjectPath, iface, method string, args ...any) ([]any, error) {
	answer, err := c.exchange(&dbus.Message{
		Type: dbus.TypeMethodCall,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldDestination: dbus.MakeVariant(peer),
			dbus.FieldPath:        dbus.MakeVariant(object),
			dbus.FieldInterface:   dbus.MakeVariant(iface),
			dbus.FieldMember:      dbus.MakeVariant(method),
			dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf(args...)),
		},
		Body: args,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	if answer.Type == dbus.TypeError {
		name, _ := answer.Headers[dbus.FieldErrorName].Value().(string)
		return nil, fmt.Errorf("%s: %w", method, dbus.Error{Name: name, Body: answer.Body})
	}
	return answer.Body, nil
}

// exchange skips what is not the answer: a manager sends its signals to whoever
// is connected to its own socket.
func (c *connection) exchange(call *dbus.Message) (*dbus.Message, error) {
	var packet bytes.Buffer
	if err := call.EncodeTo(&packet, binary.LittleEndian); err != nil {
		return nil, err
	}
	// Message has no way to set it. Its place is the same in every message, see
	// "Message Format" of the specification.
	c.serial++
	binary.LittleEndian.PutUint32(packet.Bytes()[8:], c.serial)
	if _, err := c.Write(packet.Bytes()); err != nil {
		return nil, err
	}
	for {
		packet, err := c.read()
		if err != nil {
			return nil, err
		}
		message, err := dbus.DecodeMessage(bytes.NewReader(packet))
		if err != nil {
			return nil, err
		}
		if message.Headers[dbus.FieldReplySerial].Value() == c.serial {
			return message, nil
		}
	}
}

// What a D-Bus message begins with, and how long a message may be: the protocol
// allows for 128 MiB, which godbus would set aside before it has read them.
const (
	headLength = 16
	maxMessage = 1 << 20
)

// read returns the next message, whole: its head, its header fields, padded to
// 8 bytes, and its body.
func (c *connection) read() ([]byte, error) {
	head, err := c.reader.Peek(headLength)
	if err != nil {
		return nil, err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[0] == 'B' {
		order = binary.BigEndian
	}
	body, fields := uint64(order.Uint32(head[4:])), uint64(order.Uint32(head[12:]))
	length := headLength + (fields+7)/8*8 + body
	if length > maxMessage {
		return nil, fmt.Errorf("message of %d bytes, more than %d", length, maxMessage)
	}
	packet := make([]byte, length)
	_, err = io.ReadFull(c.reader, packet)
	return packet, err
}
