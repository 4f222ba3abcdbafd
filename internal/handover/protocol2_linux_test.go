package handover_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"golang.org/x/sys/unix"
)

// protocol2 are messages as lifecycle sends them, one at least of each type.
// The files in testdata/protocol2 are their packets, as the first build that
// spoke protocol 2 wrote them: they stay as they are for as long as MinProtocol
// is 2. Those of TLS are of a later build, and none that does not ask for them
// gets them.
func protocol2() map[string]handover.Message {
	at := time.Date(2026, 11, 28, 20, 15, 30, 123456789, time.UTC)
	return map[string]handover.Message{
		"hello": {Type: handover.Hello, Process: handover.Process{Protocol: 2, MinReader: 2, PID: 4711, Generation: 7}, Count: 2, DryRun: true, Bound: []handover.Bound{
			{Name: "http", Network: "tcp", Address: "127.0.0.1:8080"},
			{Name: "heirloom-control", Network: "unix", Address: "/run/hello/control", File: handover.FileID{Device: 26, Inode: 1234}},
		}},
		"state":       {Type: handover.State, Passed: handover.Passed{Name: "heirloom-older-generations"}, Payload: handover.Payload{States: [][]byte{nil}}},
		"state-small": {Type: handover.State, Passed: handover.Passed{Name: "rooms", Version: 1}, Payload: handover.Payload{States: [][]byte{[]byte("a few bytes")}}},
		"state-memfd": {Type: handover.State, Passed: handover.Passed{Name: "cache", Version: 3}, Payload: handover.Payload{States: [][]byte{bytesOf(5000, 0)}}},
		"ready":       {Type: handover.Ready, Process: handover.Process{Protocol: 2, PID: 4712}, Moving: handover.Moving{Listeners: []string{"http", "heirloom-control"}, Streams: []string{"chat"}}},
		"ready-tls":   {Type: handover.Ready, Process: handover.Process{Protocol: 2, PID: 4712}, Moving: handover.Moving{Listeners: []string{"heirloom-control"}, Sessions: []string{"https"}}},
		"failed":      {Type: handover.Failed, Reason: "listen http: no <such> address é"},
		"go":          {Type: handover.Go},
		"serving":     {Type: handover.Serving},
		"main":        {Type: handover.Main, Outcome: &handover.Outcome{At: at, Duration: 4 * time.Millisecond, Generation: 8, PID: 4712}},
		"main-alone":  {Type: handover.Main},
		"predecessor": {Type: handover.Predecessor, Process: handover.Process{PID: 4700, Generation: 6}},
		"retarget":    {Type: handover.Retarget, Process: handover.Process{PID: 4712, Generation: 8}, Moving: handover.Moving{Listeners: []string{"http", "heirloom-control"}, Streams: []string{"chat"}}},
		"connections": {Type: handover.Connections, Batch: handover.Batch{Listener: "http", Address: "127.0.0.1:8080"}},
		"connections-waited": {Type: handover.Connections, Batch: handover.Batch{
			Listener: "http", Address: "[::1]:80", Sent: at.UnixMilli(), Waited: []int64{1500, -1, -2501},
		}},
		"connections-streams": {Type: handover.Connections, Batch: handover.Batch{Listener: "chat", Address: "[::]:7000", Stream: true}, Payload: handover.Payload{States: [][]byte{[]byte("left"), nil}}},
		"connections-tls": {Type: handover.Connections, Batch: handover.Batch{
			Listener: "https", Address: "[::]:443", TLS: true, Sent: at.UnixMilli(), Waited: []int64{1500, -1},
		}, Payload: handover.Payload{States: [][]byte{[]byte("secret"), []byte("another")}}},
		"accepted":      {Type: handover.Accepted, Count: 250},
		"accepted-some": {Type: handover.Accepted, Count: 3, Reason: "too many open files"},
		"accepted-none": {Type: handover.Accepted},
		"status":        {Type: handover.Status},
		"draining": {Type: handover.Draining, Report: &handover.Report{
			Since:       at,
			Connections: map[string]int{"new": 0, "active": 2, "idle": 0, "hijacked": 1, "streams": 0, "others": 0},
			Requests:    2,
			Jobs:        []string{"mail", "queue"},
			Ends:        at.Add(90 * time.Second),
		}},
		"draining-first": {Type: handover.Draining, Report: &handover.Report{Since: at, Connections: map[string]int{}}},
		"deadline":       {Type: handover.Deadline, Left: 5 * time.Second},
		"cut":            {Type: handover.Cut},
		"stop":           {Type: handover.Stop},
		"stop-left":      {Type: handover.Stop, Left: 1500 * time.Millisecond},
		"reload":         {Type: handover.Reload, DryRun: true},
		"reloaded": {Type: handover.Reloaded, Outcome: &handover.Outcome{
			At: at, Duration: time.Second, Reason: "the successor (pid 4713) ended before it was ready: exit status 3",
			Generation: 8, PID: 4712, DryRun: true,
		}},
		"reloaded-in-place": {Type: handover.Reloaded, Outcome: &handover.Outcome{At: at, Generation: 7, PID: 4711, InPlace: true}},
	}
}

// TestProtocol2 receives and peeks at what an older build sent.
func TestProtocol2(t *testing.T) {
	files, err := filepath.Glob("testdata/protocol2/*.json")
	if err != nil || len(files) != len(protocol2()) {
		t.Fatalf("%d files, %v, want one for each of %d messages", len(files), err, len(protocol2()))
	}
	for name, want := range protocol2() {
		t.Run(name, func(t *testing.T) {
			conn, fd := rawPair(t)
			sendRaw(t, fd, string(goldenPacket(t, name)), memfdOf(t, want)...)
			err := conn.Peek(func(m handover.Message, fds []int) {
				fdutil.CloseAll(fds)
				if m.Type != want.Type {
					t.Errorf("peeked at %+v", m)
				}
			})
			got, fds, receiveErr := conn.Receive()
			fdutil.CloseAll(fds)
			if err != nil || receiveErr != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("received %+v, %v, %v, want %+v", got, err, receiveErr, want)
			}
		})
	}
}

// TestEveryTypeIsGolden makes sure that no type of message is left out.
func TestEveryTypeIsGolden(t *testing.T) {
	seen := make(map[handover.Type]bool)
	for _, m := range protocol2() {
		seen[m.Type] = true
	}
	for _, kind := range handover.Known() {
		if !seen[kind] {
			t.Errorf("no packet of type %s", kind)
		}
	}
}

// TestProtocol1 receives what a build of protocol 1 says first, and refuses it.
func TestProtocol1(t *testing.T) {
	packet, err := os.ReadFile("testdata/protocol1/inheritance.json")
	if err != nil {
		t.Fatal(err)
	}
	conn, fd := rawPair(t)
	sendRaw(t, fd, string(packet))
	m, _, err := conn.Receive()
	if err != nil || !m.IsHello() || !m.IsOutdated() || m.Generation != 7 {
		t.Errorf("received %+v, %v", m, err)
	}
	err = m.CheckHello()
	if !errors.Is(err, handover.ErrProtocol) || !strings.Contains(err.Error(), "the other process speaks 1") {
		t.Errorf("%v, want ErrProtocol", err)
	}
}

// TestProtocol2Sent has what today's build sends read by the types of the first
// build of protocol 2, which ignore what they do not know. Each message means
// to them what it did when they sent it themselves.
func TestProtocol2Sent(t *testing.T) {
	for name, m := range protocol2() {
		t.Run(name, func(t *testing.T) {
			conn, fd := rawPair(t)
			if err := conn.Send(m); err != nil {
				t.Fatal(err)
			}
			buffer := make([]byte, 128<<10) // which is an older build's
			oob := make([]byte, 1024)
			n, oobn, _, _, err := unix.Recvmsg(fd, buffer, oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
			if err != nil {
				t.Fatal(err)
			}
			fdutil.CloseAll(rightsIn(t, oob[:oobn]))
			var got, want message2
			if err := json.Unmarshal(buffer[:n], &got); err != nil {
				t.Fatalf("%s: %v", buffer[:n], err)
			}
			if err := json.Unmarshal(goldenPacket(t, name), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s is read as %+v, want %+v", buffer[:n], got, want)
			}
		})
	}
}

func goldenPacket(t *testing.T, name string) []byte {
	t.Helper()
	packet, err := os.ReadFile(filepath.Join("testdata", "protocol2", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// memfdOf returns the memfd that m travels with, if its states are large.
func memfdOf(t *testing.T, m handover.Message) []int {
	t.Helper()
	if len(m.States) == 0 || len(m.States[0]) < 4097 {
		return nil
	}
	fd := memfd(t, m.States[0])
	t.Cleanup(func() { _ = unix.Close(fd) })
	return []int{fd}
}

func rightsIn(t *testing.T, oob []byte) (fds []int) {
	t.Helper()
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		t.Fatal(err)
	}
	for i := range messages {
		rights, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, rights...)
	}
	return fds
}

// What the first build of protocol 2 has on the wire.
type (
	message2 struct {
		Type       string        `json:"type"`
		Protocol   int           `json:"protocol,omitempty"`
		MinReader  int           `json:"min_reader,omitempty"`
		PID        int           `json:"pid,omitempty"`
		Generation int           `json:"generation,omitempty"`
		Bound      []bound2      `json:"bound,omitempty"`
		Listeners  []string      `json:"listeners,omitempty"`
		Streams    []string      `json:"streams,omitempty"`
		Listener   string        `json:"listener,omitempty"`
		Address    string        `json:"address,omitempty"`
		Stream     bool          `json:"stream,omitempty"`
		Name       string        `json:"name,omitempty"`
		Version    int           `json:"version,omitempty"`
		States     [][]byte      `json:"states,omitempty"`
		Sent       int64         `json:"sent,omitempty"`
		Waited     []int64       `json:"waited,omitempty"`
		Sizes      []int         `json:"sizes,omitempty"`
		Count      int           `json:"count,omitempty"`
		Left       time.Duration `json:"left,omitempty"`
		Reason     string        `json:"reason,omitempty"`
		DryRun     bool          `json:"dry_run,omitempty"`
		Report     *report2      `json:"report,omitempty"`
		Outcome    *outcome2     `json:"outcome,omitempty"`
	}
	bound2 struct {
		Name    string  `json:"name"`
		Network string  `json:"network"`
		Address string  `json:"address"`
		File    fileID2 `json:"file,omitzero"`
	}
	fileID2 struct {
		Device uint64 `json:"device"`
		Inode  uint64 `json:"inode"`
	}
	report2 struct {
		Since       time.Time      `json:"since"`
		Connections map[string]int `json:"connections"`
		Requests    int            `json:"requests"`
		Jobs        []string       `json:"jobs,omitempty"`
		Ends        time.Time      `json:"ends,omitzero"`
	}
	outcome2 struct {
		At         time.Time     `json:"at"`
		Duration   time.Duration `json:"duration"`
		Reason     string        `json:"reason"`
		Generation int           `json:"generation"`
		PID        int           `json:"pid"`
		DryRun     bool          `json:"dry_run,omitempty"`
		InPlace    bool          `json:"in_place,omitempty"`
	}
)
