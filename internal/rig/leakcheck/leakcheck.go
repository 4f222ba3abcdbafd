// Package leakcheck fails a test run that leaves something behind: descriptors,
// goroutines or processes.
//
// A package that uses it needs one line:
//
//	func TestMain(m *testing.M) { leakcheck.Main(m) }
//
// [Check] does the same for a single test, which must not run in parallel with
// others. Descriptors and processes are found where there is a /proc, and
// goroutines everywhere.
package leakcheck

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// mark is the variable that every process started by the tests inherits, and so
// does what that process starts. Its value is the test process.
const mark = "HEIRLOOM_LEAKCHECK"

// limit is for what was told to end and is on its way. It is used up only where
// something has leaked.
var limit = 10 * time.Second

// Main runs the tests of a package and ends the process, with a failure if they
// leave something behind.
func Main(m *testing.M) { os.Exit(Run(m.Run)) }

// Run calls run, which is m.Run or something around it, and returns the status
// to exit with: that of run, or 1 if it returns 0 and has left something
// behind, which is listed on stderr. A failed run is not checked, since a test
// that gives up leaves things. Neither is a run that fuzzes: package testing
// keeps workers of its own.
func Run(run func() int) int {
	before := look()
	start = before
	own := mark + "=" + strconv.Itoa(os.Getpid())
	_ = os.Setenv(mark, strconv.Itoa(os.Getpid()))
	code := run()
	if code != 0 || fuzzing() {
		return code
	}
	leaks := settle(func() []string { return append(before.leaks(), processes(own)...) })
	if len(leaks) == 0 {
		return 0
	}
	fmt.Fprintf(os.Stderr, "leakcheck: the tests have left behind:\n%s\n", strings.Join(leaks, "\n"))
	return 1
}

// start is what there was when [Run] was called.
var start sight

// Check fails the test if it, with all clean-ups that it registers from here
// on, leaves a descriptor or a goroutine, or closes a descriptor that was open
// before. What an earlier test has told to end is waited for first: a
// connection of its own that closes now would look like one that this test has
// closed.
func Check(t testing.TB) {
	t.Helper()
	if left := settle(start.running); len(left) > 0 {
		t.Logf("leakcheck: this goes on beside the test:\n%s", strings.Join(left, "\n"))
	}
	before := look()
	t.Cleanup(func() {
		leaks := settle(func() []string { return append(before.leaks(), before.closed()...) })
		if len(leaks) > 0 {
			t.Errorf("leakcheck: the test has left behind:\n%s", strings.Join(leaks, "\n"))
		}
	})
}

// settle waits for leaks to be none, and returns those that stay.
func settle(leaks func() []string) []string {
	var left []string
	patience.Until(limit, func() bool {
		left = leaks()
		return len(left) == 0
	})
	return left
}

func fuzzing() bool {
	fuzz := flag.Lookup("test.fuzz")
	return fuzz != nil && fuzz.Value.String() != ""
}

// A sight is what this process has at some time.
type sight struct {
	files      map[string]string // by number
	goroutines map[string]string // stacks by number
}

// look makes the runtime open the descriptors of its own, which stay, and
// looks.
func look() sight {
	if listener, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = listener.Close()
	}
	return sight{openFiles(), goroutines()}
}

// leaks lists what there is now and was not before.
func (s sight) leaks() []string {
	var leaks []string
	for fd, file := range openFiles() {
		if s.files[fd] != file {
			leaks = append(leaks, fmt.Sprintf("descriptor %s: %s", fd, file))
		}
	}
	leaks = append(leaks, s.started()...)
	slices.Sort(leaks)
	return leaks
}

// started lists the goroutines that there are now and were not before.
func (s sight) started() []string {
	var started []string
	for number, stack := range goroutines() {
		if _, found := s.goroutines[number]; !found && !endless(stack) {
			started = append(started, stack)
		}
	}
	return started
}

// waits are the functions of package testing in which a test, or the run of all
// tests, waits.
var waits = regexp.MustCompile(`(?m)^testing\.\(\*(M|T|B|F)\)\.(Run|Parallel|Fuzz)\(|^testing\.tRunner\.func`)

// running lists those of them that are not tests which wait for their subtests
// or for their turn.
func (s sight) running() []string {
	return slices.DeleteFunc(s.started(), func(stack string) bool {
		return waits.MatchString(stack)
	})
}

// closed lists what was open before and no longer is.
func (s sight) closed() []string {
	var closed []string
	now := openFiles()
	for fd, file := range s.files {
		if _, found := now[fd]; !found {
			closed = append(closed, fmt.Sprintf("descriptor %s was closed: %s", fd, file))
		}
	}
	slices.Sort(closed)
	return closed
}

// openFiles returns the targets of the open descriptors, by number.
func openFiles() map[string]string {
	open := map[string]string{}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		// The descriptor with which ReadDir read the folder is closed by now.
		if file, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			open[e.Name()] = file
		}
	}
	return open
}

var header = regexp.MustCompile(`^goroutine (\d+) `)

// goroutines returns the stacks of all goroutines but this one, by number.
func goroutines() map[string]string {
	buffer := make([]byte, 1<<20)
	for n := 0; ; buffer = make([]byte, 2*len(buffer)) {
		if n = runtime.Stack(buffer, true); n < len(buffer) {
			buffer = buffer[:n]
			break
		}
	}
	stacks := map[string]string{}
	for i, stack := range strings.Split(strings.TrimSpace(string(buffer)), "\n\n") {
		if number := header.FindStringSubmatch(stack); i > 0 && number != nil {
			stacks[number[1]] = stack
		}
	}
	return stacks
}

// endless reports whether a goroutine is one that the standard library starts
// once, and never ends.
func endless(stack string) bool {
	for _, name := range []string{"os/signal.loop(", "runtime.ensureSigM", "runtime.runFinalizers(", "runtime.runCleanups("} {
		if strings.Contains(stack, name) {
			return true
		}
	}
	return false
}

// processes lists the processes, but for this one, that started with the
// variable. One that has ended and that nobody has waited for has no
// environment any more; it is listed if it is a child of this process.
func processes(variable string) []string {
	var found []string
	for _, pid := range Started(variable) {
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		found = append(found, fmt.Sprintf("process %d: %s", pid, bytes.ReplaceAll(bytes.TrimRight(command, "\x00"), []byte{0}, []byte(" "))))
	}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if name, zombie := zombieChild(filepath.Base(dir)); zombie {
			found = append(found, fmt.Sprintf("process %s, which ended and was not waited for: %s", filepath.Base(dir), name))
		}
	}
	return found
}

// zombieChild reports whether a process is a child of this one that has ended,
// and what it is called.
func zombieChild(pid string) (name string, zombie bool) {
	stat, _ := os.ReadFile("/proc/" + pid + "/stat")
	before, after, _ := strings.Cut(string(stat), ") ") // the name may have spaces
	fields := strings.Fields(after)
	if len(fields) < 2 || fields[0] != "Z" || fields[1] != strconv.Itoa(os.Getpid()) {
		return "", false
	}
	_, name, _ = strings.Cut(before, "(")
	return name, true
}
