package execreplace_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/execreplace"
)

// tooLong fails in each execve with E2BIG (MAX_ARG_STRLEN is 128 KiB), after
// the files were put in place.
var tooLong = []string{strings.Repeat("a", 200_000)}

// hammer keeps the runtime busy with what Exec might disturb, until stop is
// closed; then it waits.
func hammer(stop chan struct{}) (wait func() error, err error) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		_ = http.Serve(server, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }))
	}()
	var group sync.WaitGroup
	failed := make(chan error, 16)
	each := func(n int, work func() error) {
		for range n {
			group.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if err := work(); err != nil {
						failed <- err
						return
					}
				}
			})
		}
	}
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	each(3, func() error { return get(http.DefaultClient, server.Addr().String()) })
	each(3, func() error { return get(fresh, server.Addr().String()) })
	each(1, func() error {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		time.AfterFunc(10*time.Microsecond, func() { _ = w.Close() })
		_, err = io.ReadAll(r)
		return errors.Join(err, r.Close())
	})
	each(1, func() error {
		runtime.GC()
		_, err := os.ReadFile("/proc/self/stat")
		return err
	})
	return func() error {
		group.Wait()
		http.DefaultClient.CloseIdleConnections()
		close(failed)
		return errors.Join(<-failed, server.Close())
	}, nil
}

func get(client *http.Client, address string) error {
	answer, err := client.Get("http://" + address + "/hello")
	if err != nil {
		return err
	}
	body, err := io.ReadAll(answer.Body)
	if string(body) != "/hello" {
		return fmt.Errorf("answer %q, %w", body, err)
	}
	return errors.Join(err, answer.Body.Close())
}

// playFailing fails many times under load and must be none the worse for it.
func playFailing() error {
	give, err := files()
	if err != nil {
		return err
	}
	give = append(give, 3, 4, 5, 6, 7, 8)
	program, err := execreplace.Open(self())
	if err != nil {
		return err
	}
	fail := func() error {
		if err := program.Exec(tooLong, give, nil); !errors.Is(err, unix.E2BIG) {
			return fmt.Errorf("Exec: %w", err)
		}
		return nil
	}
	if err := fail(); err != nil {
		return err
	}
	var before, after unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &before)
	stop := make(chan struct{})
	wait, err := hammer(stop)
	if err != nil {
		return err
	}
	open, most := descriptors(), 0
	for range 2 {
		most = threads() // the second time, when the runtime has those that the load takes
		for range rounds(100) {
			if err := fail(); err != nil {
				return err
			}
		}
	}
	if n := threads(); n > most+8 {
		return fmt.Errorf("%d threads, were %d", n, most)
	}
	close(stop)
	if err := wait(); err != nil {
		return err
	}
	for _, fd := range give {
		if descriptors()[fd] != open[fd] {
			return fmt.Errorf("descriptor %d is %s, was %s", fd, descriptors()[fd], open[fd])
		}
		if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags != unix.FD_CLOEXEC {
			return fmt.Errorf("descriptor %d is inherited", fd)
		}
	}
	if _ = unix.Getrlimit(unix.RLIMIT_NOFILE, &after); before != after {
		return fmt.Errorf("limit %v, was %v", after, before)
	}
	return program.Exec(os.Args, give[:5], always(env("report")))
}

func TestFailing(t *testing.T) {
	t.Parallel()
	pid, got := runReport(t, command("failing"))
	if got.PID != pid || len(got.Open) != 8 {
		t.Errorf("process %d, was %d, open %v", got.PID, pid, got.Open)
	}
}

// TestUndone looks at the descriptors of the thread itself: once more Go's own,
// until it has ended.
func TestUndone(t *testing.T) {
	for _, give := range [][]int{{1}, {1, 0}, make([]int, 40)} {
		before, after, err := execreplace.Rehearse(give, tooLong)
		if !errors.Is(err, unix.E2BIG) || len(before) < 4+len(give) || !reflect.DeepEqual(before, after) {
			t.Errorf("%d files: %v; had %v, has %v", len(give), err, before, after)
		}
	}
}

// TestThreadGone fails if what the caller closes after Open or Exec is still
// held open by a thread they used.
func TestThreadGone(t *testing.T) {
	p, err := execreplace.Open(self())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for name, step := range map[string]func(){
		"Open": func() { _ = open(self()) },
		"Exec": func() { _ = p.Exec(tooLong, nil, nil) },
	} {
		for range 50 {
			var pipe [2]int
			if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
				t.Fatal(err)
			}
			step()
			_ = unix.Close(pipe[1])
			n, err := unix.Read(pipe[0], make([]byte, 1))
			_ = unix.Close(pipe[0])
			if n != 0 || err != nil {
				t.Fatalf("after %s: read %d, %v, want end-of-file", name, n, err)
			}
		}
	}
}

// playHammer becomes itself again and again under load, each time after one
// failure.
func playHammer() error {
	left, _ := strconv.Atoi(os.Getenv("LEFT"))
	if left == 0 {
		fmt.Print("done")
		return nil
	}
	give, err := files()
	if err != nil {
		return err
	}
	if _, err := hammer(make(chan struct{})); err != nil {
		return err
	}
	program, err := execreplace.Open(self())
	if err != nil {
		return err
	}
	if err := program.Exec(tooLong, give, nil); !errors.Is(err, unix.E2BIG) {
		return err
	}
	return program.Exec(os.Args, give, always(env("hammer", "LEFT="+strconv.Itoa(left-1))))
}

func TestUnderLoad(t *testing.T) {
	t.Parallel()
	cmd := command("hammer")
	cmd.Env = append(cmd.Env, "LEFT="+strconv.Itoa(rounds(30)))
	if _, output := run(t, cmd); string(output) != "done" {
		t.Errorf("wrote %q", output)
	}
}

// playFallback opens $PROGRAM, then does to it what its argument says, then
// replaces itself.
func playFallback() error {
	path := os.Getenv("PROGRAM")
	program, err := execreplace.Open(path)
	if err != nil {
		return err
	}
	give, err := files()
	if err != nil {
		return err
	}
	switch os.Args[1] {
	case "rename":
		err = os.Rename(path+".new", path)
	case "remove":
		err = os.Remove(path)
	case "garbage":
		err = errors.Join(os.WriteFile(path+".bad", []byte("garbage"), 0o755), os.Rename(path+".bad", path))
	case "directory":
		err = errors.Join(os.Remove(path), os.Mkdir(path, 0o755))
	case "truncate":
		err = os.Truncate(path, 5000)
	case "chmod":
		err = os.Chmod(path, 0o644)
	case "busy":
		_, err = unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return err
	}
	return program.Exec(os.Args, give, func(reason error) []string {
		return env("report", fmt.Sprintf("REASON=%v", reason), fmt.Sprintf("ERRNO=%d", errnoOf(reason)))
	})
}

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	_ = errors.As(err, &errno)
	return errno
}

func TestFallback(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		event  string
		script bool
		runs   string // which program: the suffix of its path, or self
		errno  syscall.Errno
		phrase string
	}{
		{event: "nothing", runs: "", phrase: "<nil>"},
		{event: "rename", runs: ".new", phrase: "<nil>"},
		{event: "remove", runs: "", errno: unix.ENOENT, phrase: "/daemon: no such file"},
		{event: "garbage", runs: "", errno: unix.ENOEXEC, phrase: "neither an ELF program nor a script"},
		{event: "directory", runs: "", errno: unix.EACCES, phrase: "not a regular file"},
		{event: "truncate", runs: "self", errno: unix.ENOEXEC, phrase: "cut short: 5000 bytes: exec format error; program "},
		{event: "chmod", runs: "self", errno: unix.EACCES, phrase: "as it was checked before: not to be executed"},
		{event: "busy", runs: "self", errno: unix.ETXTBSY, phrase: "execve: text file busy; program "},
		{event: "remove", script: true, runs: "self", errno: unix.ENOENT, phrase: "execveat: no such file"},
	} {
		t.Run(fmt.Sprintf("%s/script=%v", test.event, test.script), func(t *testing.T) {
			path := program(t)
			if test.event == "rename" {
				copyFile(t, self(), path+".new")
			}
			if test.script {
				writeFile(t, path+".sh", []byte("#!"+path+"\n"), 0o755)
			}
			runs := self()
			if test.runs != "self" {
				runs = path + test.runs
			}
			want := inode(t, runs)
			cmd := command("fallback", test.event)
			cmd.Env = append(cmd.Env, "PROGRAM="+path)
			if test.script {
				cmd.Env = append(cmd.Env, "PROGRAM="+path+".sh")
			}
			pid, got := runReport(t, cmd)
			if got.PID != pid || got.Program != want {
				t.Errorf("process %d, was %d; runs %s", got.PID, pid, got.Exe)
			}
			reason := value(got.Env, "REASON")
			if !strings.Contains(reason, test.phrase) || value(got.Env, "ERRNO") != strconv.Itoa(int(test.errno)) {
				t.Errorf("reason %s", reason)
			}
			if len(got.Open) != 8 {
				t.Errorf("open: %v", got.Open)
			}
		})
	}
}

// TestAllFail asks for the error of all three choices, and that the caller is
// told before each.
func TestAllFail(t *testing.T) {
	path := program(t)
	p, err := execreplace.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	var reasons []string
	err = p.Exec(tooLong, nil, func(reason error) []string {
		reasons = append(reasons, fmt.Sprint(reason))
		return nil
	})
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, unix.E2BIG) {
		t.Error(err)
	}
	want := []string{
		"program " + path + ": no such file or directory",
		"program " + path + ": no such file or directory; program " + path + " as it was checked before: execveat: argument list too long",
	}
	if !reflect.DeepEqual(reasons, want) {
		t.Errorf("reasons %q", reasons)
	}
	if want := want[1] + "; the program that runs now: execveat: argument list too long"; err.Error() != want {
		t.Errorf("error %q", err)
	}
}
