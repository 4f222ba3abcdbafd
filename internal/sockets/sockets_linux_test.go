package sockets_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/control"
	"github.com/heirloom-go/heirloom/internal/fdstore"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/sockets"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// newSet makes a Set of a process that was handed nothing, but for what it is
// said that an earlier generation had bound.
func newSet(t *testing.T, bound ...handover.Bound) (*sockets.Set, *bytes.Buffer) {
	t.Helper()
	table, err := activation.Inherit()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	set := sockets.New(sockets.Origin{Table: table, Bound: bound}, hclog.New(&hclog.LoggerOptions{Output: &log}))
	t.Cleanup(set.Close)
	return set, &log
}

func listen(t *testing.T, set *sockets.Set, want handover.Bound) net.Listener {
	t.Helper()
	l, err := set.Listen(want)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

type counting struct{ net.Listener }

type hiding struct{ net.Listener }

func (h hiding) Addr() net.Addr {
	addr := *h.Listener.Addr().(*net.TCPAddr)
	return &addr
}

// TestOwner finds the socket of a listener that the program has put another
// one around.
func TestOwner(t *testing.T) {
	set, log := newSet(t)
	plain := listen(t, set, handover.Bound{Name: "http", Network: "tcp", Address: "127.0.0.1:0"})
	around := counting{plain}
	secure := tls.NewListener(around, &tls.Config{})
	stranger, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	for name, test := range map[string]struct {
		listener     net.Listener
		name, toMove string
		isAround     bool
		says         bool
	}{
		"the listener":       {plain, "http", "http", false, false},
		"one around it":      {around, "http", "http", true, false},
		"TLS around it":      {secure, "http", "", true, true},
		"one that hides it":  {hiding{plain}, "", "", true, true},
		"one that is not it": {stranger, "", "", true, false},
	} {
		log.Reset()
		if got := set.NameOf(test.listener); got != test.name {
			t.Errorf("%s: its name is %q, want %q", name, got, test.name)
		}
		if got := set.NameToMove(test.listener); got != test.toMove {
			t.Errorf("%s: its name to move is %q, want %q", name, got, test.toMove)
		}
		if said := strings.Contains(log.String(), "the listener was wrapped"); said != test.says {
			t.Errorf("%s: the log is %q", name, log)
		}
		if k := set.Owner(test.listener); k != nil && k.IsAround(test.listener) != test.isAround {
			t.Errorf("%s: that it is around the socket is %v", name, !test.isAround)
		}
	}
}

// TestNext says what the next process is handed, and what belongs into the
// store of systemd.
func TestNext(t *testing.T) {
	dir := t.TempDir()
	set, _ := newSet(t, handover.Bound{Name: "old", Network: "tcp", Address: "127.0.0.1:1"})
	listen(t, set, handover.Bound{Name: "http", Network: "unix", Address: filepath.Join(dir, "http")})
	listen(t, set, handover.Bound{Name: control.ListenerName, Network: "unix", Address: filepath.Join(dir, "control")})
	fds, names, err := set.Duplicate()
	defer func() { fdutil.CloseAll(fds) }()
	if err != nil || len(fds) != 2 || !slices.Equal(names, []string{"http", control.ListenerName}) {
		t.Errorf("handed over: %v %q, %v", fds, names, err)
	}
	if stored := set.Stored(); len(stored) != 1 || stored[0].Name != "http" || stored[0].Packets {
		t.Errorf("stored: %+v", stored)
	}
	if obsolete := set.Obsolete(fdstore.New(fdstore.Config{}, &fdstore.Found{})); !slices.Equal(obsolete, []string{"old"}) {
		t.Errorf("no longer wanted: %q", obsolete)
	}
	bound := set.Bound()
	if len(bound) != 2 || bound[0].File == (handover.FileID{}) || bound[0].Name != "http" {
		t.Errorf("bound: %+v", bound)
	}
}

// TestPaths removes the paths of Unix sockets when the service is known to end,
// and no path that has become another's.
func TestPaths(t *testing.T) {
	dir := t.TempDir()
	set, _ := newSet(t)
	kept, taken := filepath.Join(dir, "kept"), filepath.Join(dir, "taken")
	listen(t, set, handover.Bound{Name: "kept", Network: "unix", Address: kept})
	listen(t, set, handover.Bound{Name: "taken", Network: "unix", Address: taken})
	if err := errors.Join(os.Remove(taken), os.WriteFile(taken, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	exists := func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	}
	set.UnlinkOnClose(true)
	set.Shut(false)
	set.RemovePaths(func() bool { return false })
	if !exists(kept) {
		t.Error("a path was removed although the service is to be restarted")
	}
	set.RemovePaths(func() bool { return true })
	if exists(kept) || !exists(taken) {
		t.Errorf("at the end: its own path is there: %v; another's is there: %v", exists(kept), exists(taken))
	}
}

// TestShut leaves the control socket open if the service ends, and removes its
// path with the last Close.
func TestShut(t *testing.T) {
	dir := t.TempDir()
	set, _ := newSet(t)
	public := listen(t, set, handover.Bound{Name: "http", Network: "unix", Address: filepath.Join(dir, "http")})
	path := filepath.Join(dir, "control")
	listen(t, set, handover.Bound{Name: control.ListenerName, Network: "unix", Address: path})
	set.UnlinkOnClose(false)
	set.Shut(true)
	if _, err := public.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a listener that is shut accepts: %v", err)
	}
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.Close()
	set.Close()
	for _, p := range []string{path, public.Addr().String()} {
		if _, err := os.Lstat(p); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", p, err)
		}
	}
}

// TestPacketSocket is owned like a listener.
func TestPacketSocket(t *testing.T) {
	set, _ := newSet(t)
	refused := errors.New("refused")
	want := handover.Bound{Name: "dns", Network: "udp", Address: "127.0.0.1:0"}
	_, err := set.ListenPacket(want, func(net.PacketConn, func()) (net.PacketConn, error) { return nil, refused })
	if !errors.Is(err, refused) || len(set.Bound()) != 0 {
		t.Errorf("got %v, bound %+v", err, set.Bound())
	}
	conns, err := set.ListenPacketAll(want, func(c net.PacketConn, _ func()) (net.PacketConn, error) { return c, nil })
	if err != nil || len(conns) != 1 || set.NameOf(conns[0]) != "dns" {
		t.Errorf("got %v, %v", conns, err)
	}
}

// TestListenAllOrNothing leaves nothing open when one of several fails.
func TestListenAllOrNothing(t *testing.T) {
	set, _ := newSet(t)
	if _, err := set.ListenAll(handover.Bound{Name: "http", Network: "tcp", Address: "256.0.0.1:0"}); err == nil {
		t.Error("no error for an address that is none")
	}
	if len(set.Bound()) != 0 {
		t.Errorf("left: %+v", set.Bound())
	}
}
