package inplace_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/inherited"
	"github.com/heirloom-go/heirloom/internal/inplace"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// TestMain is the programs of TestExecFull as well.
func TestMain(m *testing.M) {
	role := map[string]func() error{"full": replaceFull, "next": showLast}[os.Getenv("HEIRLOOM_TEST_ROLE")]
	if role == nil {
		leakcheck.Main(m)
	}
	if err := role(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// replaceFull replaces this program, which is told to stop at the very last,
// when its queue has no room left.
func replaceFull() error {
	r, err := inplace.Prepare(inplace.Config{
		Program:    os.Args[0],
		Generation: 3,
		Sockets:    func() ([]int, []string, error) { return nil, nil, nil },
		Hello:      hello(),
		Owner:      conntrack.New(conntrack.Config{}),
		Log:        hclog.Default(),
	})
	if err != nil {
		return err
	}
	filler := handover.Message{Type: "filler", Moving: handover.Moving{Listeners: []string{strings.Repeat("x", 100_000)}}}
	for full := false; !full; {
		err := r.Queue.Send(func(send transfer.SendFunc) error {
			err := send(filler)
			if full = errors.Is(err, syscall.EAGAIN); full {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := os.Setenv("HEIRLOOM_TEST_ROLE", "next"); err != nil {
		return err
	}
	return r.Exec(os.Args, func() bool { return true }, func(environ []string) []string { return environ })
}

// showLast prints what the program before said last.
func showLast() error {
	i, err := inherited.Find(hclog.Default())
	if err != nil {
		return err
	}
	fmt.Printf("outcome: %t, stop: %t, generation: %d", i.Found.Outcome != nil, i.Found.Stop, i.Generation)
	return nil
}

// TestExecFull has the last words heard that find no room in the queue.
func TestExecFull(t *testing.T) {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), "HEIRLOOM_TEST_ROLE=full")
	out, err := command.CombinedOutput()
	if want := "outcome: true, stop: true, generation: 4"; err != nil || string(out) != want {
		t.Errorf("%s, %v, want %q", out, err, want)
	}
}

func hello() handover.Message {
	return handover.Message{
		Type:    handover.Hello,
		Process: handover.Process{Protocol: handover.Protocol, MinReader: handover.MinProtocol, PID: os.Getpid(), Generation: 3},
	}
}

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
		Hello: hello(),
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
