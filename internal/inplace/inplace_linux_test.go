package inplace_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/inplace"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

func config(t *testing.T) inplace.Config {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return inplace.Config{
		Program:    program,
		Generation: 3,
		Sockets: func() ([]int, []string, error) {
			fd, err := fdutil.Duplicate(os.Stdin)
			return []int{fd}, []string{"http"}, err
		},
		Hello: handover.Message{
			Type:    handover.Hello,
			Process: handover.Process{Protocol: handover.Protocol, MinReader: handover.MinProtocol, PID: os.Getpid(), Generation: 3},
		},
		Owner: conntrack.New(conntrack.Config{}),
		Log:   hclog.NewNullLogger(),
	}
}

// TestEnviron names the handover socket first, and then the sockets.
func TestEnviron(t *testing.T) {
	r, err := inplace.Prepare(config(t))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Discard()
	environ, err := r.Environ()
	if want := "LISTEN_FDNAMES=" + activation.HandoverName + ":http"; err != nil || !slices.Contains(environ, want) {
		t.Errorf("got %q, %v, want %q", environ, err, want)
	}
}

// TestTakeBack returns the handover socket, in which the Hello is still queued.
func TestTakeBack(t *testing.T) {
	r, err := inplace.Prepare(config(t))
	if err != nil {
		t.Fatal(err)
	}
	entries := r.TakeBack()
	if len(entries) != 1 || entries[0].Generation != 3 {
		t.Fatalf("got %+v", entries)
	}
	defer entries[0].Conn.Close()
	m, fds, err := entries[0].Conn.Receive()
	fdutil.CloseAll(fds)
	if err != nil || !m.IsHello() || m.Generation != 3 {
		t.Errorf("the first message is %+v, %v", m, err)
	}
	r.Discard() // once more does nothing
}

// TestPrepareFails leaves nothing open.
func TestPrepareFails(t *testing.T) {
	errFull := errors.New("too many open files")
	sockets := config(t)
	sockets.Sockets = func() ([]int, []string, error) {
		fd, err := fdutil.Duplicate(os.Stdin)
		return []int{fd}, []string{"http"}, errors.Join(err, errFull)
	}
	if r, err := inplace.Prepare(sockets); r != nil || !errors.Is(err, errFull) {
		t.Errorf("without sockets: got %v, %v", r, err)
	}
	missing := config(t)
	missing.Program = filepath.Join(t.TempDir(), "missing")
	if r, err := inplace.Prepare(missing); r != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a program: got %v, %v", r, err)
	}
}

// TestBadProgram is found out before anything is given up.
func TestBadProgram(t *testing.T) {
	c := config(t)
	c.Program = filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(c.Program, []byte("#!/missing/interpreter\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	r, err := inplace.Prepare(c)
	if err == nil {
		r.Discard()
		t.Fatal("a program without an interpreter was accepted")
	}
	if !strings.Contains(err.Error(), "/missing/interpreter") {
		t.Errorf("got %v", err)
	}
}
