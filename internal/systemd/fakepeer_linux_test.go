package systemd_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// listen makes this process one of a user manager, and listens in its stead.
func listen(t *testing.T, name string) net.Listener {
	t.Helper()
	path := filepath.Join(runtimeDir(t), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// runtimeDir returns where the sockets of the user manager are, the same one
// all through a test.
func runtimeDir(t *testing.T) string {
	t.Helper()
	const mark = "made by the test"
	if os.Getenv("MANAGERPID") == mark {
		return os.Getenv("XDG_RUNTIME_DIR")
	}
	// The path of a socket must be short.
	dir, err := os.MkdirTemp("", "manager")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("MANAGERPID", mark)
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return dir
}

// peer plays with each connection, and then closes it for writing. Its
// goroutines end with the test.
func peer(t *testing.T, name string, play func(net.Conn)) {
	t.Helper()
	ln := listen(t, name)
	var players sync.WaitGroup
	players.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			players.Go(func() {
				defer conn.Close()
				play(conn)
				_ = conn.(*net.UnixConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		players.Wait()
	})
}

// serve answers calls until there is one that it has no answer to. One that
// answers to Hello wants to hear it first.
func serve(c net.Conn, answers map[string]any) {
	reader := bufio.NewReader(c)
	for range 3 {
		if _, err := reader.ReadString('\n'); err != nil {
			return
		}
	}
	say(c, ok)
	_, greeted := answers[hello]
	for first := true; ; first = false {
		call, err := dbus.DecodeMessage(reader)
		if err != nil {
			return
		}
		name, property := call.Headers[dbus.FieldMember].Value().(string), false
		if name == "Get" {
			name, property = call.Body[1].(string), true
		}
		value, found := answers[name]
		if !found || greeted && first != (name == hello) {
			return
		}
		if _, failed := value.(dbus.Error); property && !failed {
			value = dbus.MakeVariant(value)
		}
		send(c, answer(call.Serial(), value))
	}
}

// serveVarlink answers calls with the text for their method until there is one
// that it has no answer to.
func serveVarlink(c net.Conn, answers map[string]string) {
	reader := bufio.NewReader(c)
	for {
		text, err := reader.ReadBytes(0)
		if err != nil {
			return
		}
		var call struct{ Method string }
		if err := json.Unmarshal(text[:len(text)-1], &call); err != nil {
			return
		}
		answer, found := answers[call.Method]
		if !found {
			return
		}
		say(c, answer+"\x00")
	}
}

// answer is the one to the call with that serial number: an error, or a value.
func answer(serial uint32, value any) *dbus.Message {
	message := &dbus.Message{
		Type:    dbus.TypeMethodReply,
		Headers: map[dbus.HeaderField]dbus.Variant{dbus.FieldReplySerial: dbus.MakeVariant(serial)},
		Body:    []any{value},
	}
	if failure, failed := value.(dbus.Error); failed {
		message.Type = dbus.TypeError
		message.Headers[dbus.FieldErrorName] = dbus.MakeVariant(failure.Name)
		message.Body = failure.Body
	}
	if len(message.Body) > 0 {
		message.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(message.Body...))
	}
	return message
}

// A row is a unit as ListUnitsByNames describes it.
type row struct {
	Name, Description, Load, Active, Sub, Following string

	Path    dbus.ObjectPath
	JobID   uint32
	JobType string
	JobPath dbus.ObjectPath
}

// units lists one unit for each job.
func units(jobs ...string) []row {
	rows := []row{}
	for _, job := range jobs {
		rows = append(rows, row{Name: unit, Path: "/", JobType: job, JobPath: "/"})
	}
	return rows
}

// send gives a message the serial number 1, since systemd never uses 0.
func send(w io.Writer, message *dbus.Message) {
	var packet bytes.Buffer
	if err := message.EncodeTo(&packet, binary.BigEndian); err != nil {
		panic(err)
	}
	binary.BigEndian.PutUint32(packet.Bytes()[8:], 1)
	_, _ = w.Write(packet.Bytes())
}

func say(c net.Conn, text string) { _, _ = io.WriteString(c, text) }
