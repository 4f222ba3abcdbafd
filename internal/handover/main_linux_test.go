package handover_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

// roles are the programs of the tests: the test binary is each of them, by
// HEIRLOOM_TEST_ROLE.
var roles = map[string]func() error{
	"crowd": crowd,
}

func TestMain(m *testing.M) {
	role := os.Getenv("HEIRLOOM_TEST_ROLE")
	if role == "" {
		leakcheck.Main(m)
	}
	err := fmt.Errorf("no role %q", role)
	if run, ok := roles[role]; ok {
		err = run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// rawPair returns one end of a handover socket, and the descriptor of the
// other, for packets that Send would not write.
func rawPair(t testing.TB) (conn *handover.Conn, fd int) {
	t.Helper()
	leakcheck.Check(t)
	conn, fd, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = unix.Close(fd)
	})
	return conn, fd
}

func sendRaw(t testing.TB, fd int, packet string, descriptors ...int) {
	t.Helper()
	if err := unix.Sendmsg(fd, []byte(packet), unix.UnixRights(descriptors...), nil, 0); err != nil {
		t.Fatal(err)
	}
}

// openFiles tells by descriptor what the process has open.
func openFiles(t testing.TB) map[int]string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[int]string)
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if file, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil { // but for ReadDir's own
			files[fd] = file
		}
	}
	return files
}

// withRoomFor calls f while the process can open n more descriptors.
func withRoomFor(t *testing.T, n int, f func()) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	open, low := openFiles(t), limit
	for low.Cur = 0; ; low.Cur++ {
		if _, ok := open[int(low.Cur)]; ok {
			continue
		}
		if n--; n < 0 {
			break
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// A canary is a pipe that tells whether anybody holds its writing end.
type canary struct{ r, w int }

func pipe(t testing.TB) *canary {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	return &canary{r: dup(t, r), w: dup(t, w)}
}

func dup(t testing.TB, f *os.File) (fd int) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	controlErr := raw.Control(func(of uintptr) { fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 3) })
	if err := errors.Join(controlErr, err); err != nil {
		t.Fatal(err)
	}
	return fd
}

// release closes our writing end.
func (c *canary) release() {
	_ = unix.Close(c.w)
	c.w = -1
}

// held reports, after release, whether there is a writing end elsewhere: in a
// queue, or leaked.
func (c *canary) held() bool {
	_, err := unix.Read(c.r, make([]byte, 1))
	return errors.Is(err, unix.EAGAIN)
}

func (c *canary) close() {
	if c.w >= 0 {
		c.release()
	}
	_ = unix.Close(c.r)
}

// sameFile reports whether two descriptors are of one open socket, pipe or
// file.
func sameFile(t testing.TB, a, b int) bool {
	t.Helper()
	var statA, statB unix.Stat_t
	if err := errors.Join(unix.Fstat(a, &statA), unix.Fstat(b, &statB)); err != nil {
		t.Fatal(err)
	}
	return statA.Dev == statB.Dev && statA.Ino == statB.Ino
}

// bytesOf returns n bytes, others for another seed.
func bytesOf(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i) ^ byte(i>>8)*31 ^ seed
	}
	return b
}

// equalStates compares states, of which JSON tells nil and empty apart, which
// nobody else does.
func equalStates(a, b [][]byte) bool {
	return slices.EqualFunc(a, b, slices.Equal[[]byte])
}
