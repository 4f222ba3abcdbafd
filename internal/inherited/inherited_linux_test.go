package inherited_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/inherited"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

const role = "HEIRLOOM_TEST_ROLE"

// TestMain is the process that the tests start, as well: it says what it finds.
func TestMain(m *testing.M) {
	if os.Getenv(role) == "" {
		leakcheck.Main(m)
	}
	i, err := inherited.Find(hclog.NewNullLogger())
	if err != nil {
		_, _ = os.Stdout.WriteString(err.Error())
		os.Exit(1)
	}
	s, _ := i.States.Take("cache")
	alone := false
	select {
	case <-i.Older.Gone():
		alone = true
	default:
	}
	_, _ = os.Stdout.WriteString(strings.Join([]string{
		"generation " + strconv.Itoa(i.Generation),
		"predecessor " + strconv.FormatBool(i.Predecessor != nil),
		"dry run " + strconv.FormatBool(i.DryRun),
		"bound " + strconv.Itoa(len(i.Bound)),
		"state " + string(s.Data),
		"alone " + strconv.FormatBool(alone),
	}, ", "))
	os.Exit(0)
}

// TestNothing is the first process of a service.
func TestNothing(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=finder")
	got, err := cmd.CombinedOutput()
	if want := "generation 1, predecessor false, dry run false, bound 0, state , alone true"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// TestPredecessor is a process that a predecessor has started, this one.
func TestPredecessor(t *testing.T) {
	ours, end, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	file := os.NewFile(uintptr(end), "handover")
	defer file.Close()
	for _, m := range []handover.Message{
		{
			Type:    handover.Hello,
			Process: handover.Process{Protocol: handover.Protocol, MinReader: handover.MinProtocol, PID: os.Getpid(), Generation: 6},
			Bound:   []handover.Bound{{Name: "http", Network: "tcp", Address: "127.0.0.1:80"}},
			DryRun:  true,
			Count:   1,
		},
		{Type: handover.State, Passed: handover.Passed{Name: "cache"}, Payload: handover.Payload{States: [][]byte{[]byte("warm")}}},
	} {
		if err := ours.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	environ, err := activation.Environ(append(os.Environ(), role+"=finder"), os.Getpid(), []string{activation.HandoverName})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.ExtraFiles = environ, []*os.File{file}
	got, err := cmd.CombinedOutput()
	if want := "generation 7, predecessor true, dry run true, bound 1, state warm, alone true"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}
