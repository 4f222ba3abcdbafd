package lifecycle_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A supervisor reads READY=1 and ignores MAINPID=, as many do: what it started
// is the service.
type supervisor struct {
	t    *testing.T
	path string
	said chan string
}

func newSupervisor(t *testing.T) *supervisor {
	t.Helper()
	s := &supervisor{t, filepath.Join(t.TempDir(), "notify"), make(chan string, 1000)}
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	go func() {
		defer close(s.said)
		text, rights := make([]byte, 4096), make([]byte, 4096)
		for {
			n, oobn, _, _, err := socket.ReadMsgUnix(text, rights)
			if err != nil {
				return
			}
			messages, _ := unix.ParseSocketControlMessage(rights[:oobn])
			for _, m := range messages { // of barriers
				fds, _ := unix.ParseUnixRights(&m)
				for _, fd := range fds {
					_ = unix.Close(fd)
				}
			}
			s.said <- string(text[:n])
		}
	}()
	return s
}

// await waits for a message with that line, and returns it.
func (s *supervisor) await(line string) string {
	s.t.Helper()
	for message := range s.said {
		if strings.HasPrefix(message, line) || strings.Contains(message, "\n"+line) {
			return message
		}
	}
	s.t.Fatalf("no message says %s", line)
	return ""
}

// TestUnfollowed: where nobody follows a main process, or that cannot be known,
// the process that somebody waits for stays.
func TestUnfollowed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string]func(s *supervisor) []string{
		"a supervisor":                    func(s *supervisor) []string { return []string{"NOTIFY_SOCKET=" + s.path} },
		"a supervisor under systemd":      func(s *supervisor) []string { return []string{"NOTIFY_SOCKET=" + s.path, "SYSTEMD_EXEC_PID=1"} },
		"a supervisor, INVOCATION_ID set": func(s *supervisor) []string { return []string{"NOTIFY_SOCKET=" + s.path, "INVOCATION_ID=1"} },
		"nothing":                         func(*supervisor) []string { return []string{"NOTIFY_SOCKET="} },
		"/dev/null":                       func(*supervisor) []string { return []string{"NOTIFY_SOCKET=/dev/null", "HEIRLOOM_TEST_EXEC_PID=1"} },
		"a file":                          func(*supervisor) []string { return []string{"NOTIFY_SOCKET=" + file, "HEIRLOOM_TEST_EXEC_PID=1"} },
		"a path that is gone": func(*supervisor) []string {
			return []string{"NOTIFY_SOCKET=" + filepath.Join(dir, "gone"), "HEIRLOOM_TEST_EXEC_PID=1"}
		},
		"another machine": func(*supervisor) []string {
			return []string{"NOTIFY_SOCKET=vsock-stream:1:9", "HEIRLOOM_TEST_EXEC_PID=1"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSupervisor(t)
			d := startLocal(t, "tcp", append(env(s), "HEIRLOOM_TEST_REPLACE=automatic")...)
			before := d.status()
			listens := strings.HasPrefix(name, "a supervisor")
			if listens {
				s.await("READY=1")
			}
			c := d.dial()
			d.reload()
			if after := d.status(); after.PID != before.PID || after.Generation != 2 {
				t.Errorf("generation %d is process %d, want 2 in process %d", after.Generation, after.PID, before.PID)
			}
			if listens {
				if message := s.await("READY=1"); strings.Contains(message, "MAINPID") {
					t.Errorf("it is told %q", message)
				}
			}
			c.ask("/")
			c.answer(2)
			select {
			case err := <-d.exited:
				t.Errorf("what the supervisor waits for has ended: %v", err)
			default:
			}
		})
	}
}

// TestUnfollowedBeside: a reload that asks for another process where none is
// followed fails, says why, and changes nothing.
func TestUnfollowedBeside(t *testing.T) {
	s := newSupervisor(t)
	for name, variable := range map[string]string{"a supervisor": s.path, "/dev/null": "/dev/null"} {
		t.Run(name, func(t *testing.T) {
			d := startLocal(t, "tcp", "NOTIFY_SOCKET="+variable)
			before := d.status()
			out, err := d.command("reload")
			for _, part := range []string{"reload failed", "NOTIFY_SOCKET=" + variable, "Options.ReloadMode = Auto"} {
				if err == nil || !strings.Contains(out, part) {
					t.Errorf("reload: %v, %q, want one that fails and says %q", err, out, part)
				}
			}
			if after := d.status(); after.PID != before.PID || after.Generation != 1 {
				t.Errorf("generation %d is process %d, want 1 in process %d", after.Generation, after.PID, before.PID)
			}
			if out, err := d.command("reload", "-dry-run"); err != nil {
				t.Errorf("dry run: %v, %s", err, out)
			}
			c := d.dial()
			c.ask("/")
			c.answer(1)
		})
	}
}

// TestFollowed: one that says that it started this very process, as systemd
// does, is told of another, which the next generation goes by, too.
func TestFollowed(t *testing.T) {
	s := newSupervisor(t)
	d := startLocal(t, "tcp", "NOTIFY_SOCKET="+s.path, "HEIRLOOM_TEST_EXEC_PID=1", "HEIRLOOM_TEST_REPLACE=automatic")
	pid := d.status().PID
	for range 2 {
		d.reload()
		s.await("MAINPID=")
		now := d.status().PID
		if now == pid {
			t.Errorf("process %d serves after the reload as well", pid)
		}
		if pid != d.first { // a child of the test, as it would be of systemd
			if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
				t.Error(err)
			}
		}
		pid = now
	}
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
}

// TestFollowedInPlace: a program in the same process is told who started that,
// so that the one after it may be started beside it. Where it was another
// process, or nobody who follows, it is told nothing.
func TestFollowedInPlace(t *testing.T) {
	s := newSupervisor(t)
	for variable, want := range map[string]bool{"HEIRLOOM_TEST_EXEC_PID=1": true, "SYSTEMD_EXEC_PID=1": false} {
		d := startLocal(t, "tcp", "NOTIFY_SOCKET="+s.path, variable, "HEIRLOOM_TEST_REPLACE=in-place")
		d.reload()
		pid := d.status().PID
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			t.Fatal(err)
		}
		told := strings.Contains("\x00"+string(environ), fmt.Sprintf("\x00SYSTEMD_EXEC_PID=%d\x00", pid))
		if told != want || !want && strings.Contains(string(environ), "SYSTEMD_EXEC_PID") {
			t.Errorf("%s: the next program is told %v, want %v", variable, told, want)
		}
	}
}

// TestContainerInit: in a container whose process 1 waits for the daemon, and
// whose NOTIFY_SOCKET is that of the engine, nothing but READY=1 is understood.
func TestContainerInit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: no namespaces")
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip(err)
	}
	s := newSupervisor(t)
	dir := t.TempDir()
	variables := append(os.Environ(), "HEIRLOOM_TEST_ROLE=daemon", "HEIRLOOM_TEST_REPLACE=automatic", "RUNTIME_DIRECTORY="+dir,
		"HEIRLOOM_TEST_LISTEN=tcp!127.0.0.1:0", "GORACE=atexit_sleep_ms=0")
	var log safeBuffer
	// The shell passes the signal on, as such an init does, and ends with the
	// daemon.
	init := exec.Command(unshare, "--pid", "--fork", "--kill-child", "sh", "-c",
		`"$0" & trap 'kill $!' TERM; wait $!; wait $!`, os.Args[0])
	init.Env, init.Stdout, init.Stderr = append(variables, "NOTIFY_SOCKET="+s.path), &log, &log
	if err := init.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- init.Wait() }()
	d := &local{t: t, program: os.Args[0], dir: dir, env: variables}
	s.await("READY=1")
	before := d.status()
	d.reload()
	s.await("READY=1")
	if after := d.status(); after.PID != before.PID || after.PID == 1 || after.Generation != 2 {
		t.Errorf("generation %d is process %d, want 2 in process %d", after.Generation, after.PID, before.PID)
	}
	select {
	case err := <-ended:
		t.Errorf("the container has ended: %v\n%s", err, log.String())
	default:
		_ = init.Process.Kill() // and with it all that is inside
		<-ended
	}
}
