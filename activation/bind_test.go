//go:build linux

package activation_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

// leaveBehind makes the socket of a dead process: bound, then closed without
// unlinking.
func leaveBehind(t *testing.T, path string, kind int) {
	t.Helper()
	fd := boundSocket(t, path, kind)
	if err := unix.Close(fd); err != nil {
		t.Fatal(err)
	}
}

func boundSocket(t *testing.T, path string, kind int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestBindReplacesStaleSockets(t *testing.T) {
	leakcheck.Check(t)
	for name, kind := range map[string]int{"stream": unix.SOCK_STREAM, "datagram": unix.SOCK_DGRAM, "seqpacket": unix.SOCK_SEQPACKET} {
		for _, network := range []string{"unix", "unixpacket", "unixgram"} {
			t.Run(name+" by "+network, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "s")
				leaveBehind(t, path, kind)
				bound, err := bind(network, path)
				if err != nil {
					t.Fatal(err)
				}
				if err := bound.Close(); err != nil {
					t.Error(err)
				}
				if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("Close left the path behind: %v", err)
				}
			})
		}
	}
}

func bind(network, path string) (interface{ Close() error }, error) {
	if network == "unixgram" {
		return activation.BindPacket(network, path)
	}
	return activation.Bind(network, path)
}

func TestBindRespectsTheLiving(t *testing.T) {
	leakcheck.Check(t)
	for name, kind := range map[string]int{"stream": unix.SOCK_STREAM, "datagram": unix.SOCK_DGRAM, "seqpacket": unix.SOCK_SEQPACKET} {
		path := filepath.Join(t.TempDir(), "s")
		fd := boundSocket(t, path, kind) // bound and not listening, which connect of a stream socket takes for dead
		for _, network := range []string{"unix", "unixpacket", "unixgram"} {
			bound, err := bind(network, path)
			if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), path) || bound != nil {
				t.Errorf("%s over a living %s socket: %v", network, name, err)
			}
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("the living %s socket: %v", name, err)
		}
		unix.Close(fd)
	}
}

// TestBindLeavesNoConnection shows that the probe puts nothing into a server's
// backlog.
func TestBindLeavesNoConnection(t *testing.T) {
	leakcheck.Check(t)
	path := filepath.Join(t.TempDir(), "s")
	ln := listen(t, "unix", path)
	if _, err := activation.Bind("unix", path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatal(err)
	}
	if err := ln.(*net.UnixListener).SetDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	raw, err := ln.(*net.UnixListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		if _, _, err := unix.Accept4(int(fd), unix.SOCK_CLOEXEC); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("accept: %v, want EAGAIN", err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestBindRefuses(t *testing.T) {
	leakcheck.Check(t)
	dir := t.TempDir()
	file, folder := filepath.Join(dir, "file"), filepath.Join(dir, "folder")
	dangling, link := filepath.Join(dir, "dangling"), filepath.Join(dir, "link")
	stale := filepath.Join(dir, "stale")
	leaveBehind(t, stale, unix.SOCK_STREAM)
	for _, err := range []error{
		os.WriteFile(file, []byte("precious"), 0o600), os.Mkdir(folder, 0o700),
		os.Symlink("/nowhere", dangling), os.Symlink(stale, link),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		path string
		want error
		says string
	}{
		"a file":          {file, syscall.EADDRINUSE, "no socket"},
		"a directory":     {folder, syscall.EADDRINUSE, "a directory"},
		"a dangling link": {dangling, syscall.EADDRINUSE, `"/nowhere", which is not there`},
		"a link":          {link, syscall.EADDRINUSE, "a symbolic link to"},
		"no directory":    {filepath.Join(dir, "no", "s"), fs.ErrNotExist, "the directory " + filepath.Join(dir, "no")},
		"too long":        {filepath.Join(dir, strings.Repeat("x", 107)), syscall.ENAMETOOLONG, "107"},
		"too long, @":     {"@" + strings.Repeat("x", 107), syscall.ENAMETOOLONG, "107"},
		"NUL":             {filepath.Join(dir, "a\x00b"), activation.ErrMalformed, "NUL"},
	} {
		for _, network := range []string{"unix", "unixgram"} {
			bound, err := bind(network, test.path)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) || bound != nil {
				t.Errorf("%s, %s: got %v, want %v saying %q", name, network, err, test.want, test.says)
			}
		}
	}
	for _, path := range []string{file, folder, dangling, link, stale} {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("removed: %v", err)
		}
	}
	var unknown net.UnknownNetworkError
	if _, err := activation.Bind("udp", ":0"); !errors.As(err, &unknown) {
		t.Errorf("udp listener: %v", err)
	}
	if _, err := activation.BindPacket("tcp", ":0"); !errors.As(err, &unknown) {
		t.Errorf("tcp packets: %v", err)
	}
}

// TestBindLongestPath fits exactly, and abstract names have no file.
func TestBindUnusualNames(t *testing.T) {
	leakcheck.Check(t)
	dir := t.TempDir()
	long := filepath.Join(dir, strings.Repeat("x", 107-len(dir)-1))
	for _, path := range []string{long, "@heirloom-unusual", ""} {
		for _, network := range []string{"unix", "unixgram"} {
			bound, err := bind(network, path)
			if err != nil {
				t.Errorf("%s %q: %v", network, path, err)
				continue
			}
			if err := bound.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	taken := listen(t, "unix", "@heirloom-taken")
	if bound, err := activation.Bind("unix", taken.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) || bound != nil {
		t.Errorf("a taken abstract name: %v, %v", bound, err)
	}
}

// TestBindContest lets several starters find the same stale socket: one wins,
// and its socket is the one at the path.
func TestBindContest(t *testing.T) {
	leakcheck.Check(t)
	path := filepath.Join(t.TempDir(), "s")
	for range 20 {
		leaveBehind(t, path, unix.SOCK_STREAM)
		var winner atomic.Pointer[net.Listener]
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				ln, err := activation.Bind("unix", path)
				switch {
				case err == nil && !winner.CompareAndSwap(nil, &ln):
					t.Error("two winners")
					ln.Close()
				case err != nil && !errors.Is(err, syscall.EADDRINUSE):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if winner.Load() == nil {
			t.Fatal("no winner")
		}
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Error("the path is not the winner's: ", err)
		} else {
			conn.Close()
		}
		(*winner.Load()).Close()
	}
}

func TestBindWaitsForTheLock(t *testing.T) {
	leakcheck.Check(t)
	path := filepath.Join(t.TempDir(), "s")
	leaveBehind(t, path, unix.SOCK_STREAM)
	dir := openDirectory(t, filepath.Dir(path))
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	other := openDirectory(t, filepath.Dir(path))
	bindLocked := func() (net.Listener, error) {
		if err := unix.Flock(int(other.Fd()), unix.LOCK_SH|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			t.Errorf("the lock is not held while binding: %v", err)
		}
		return net.Listen("unix", path)
	}
	if ln, err := activation.Rebind(path, time.Millisecond, bindLocked); ln != nil || !errors.Is(err, syscall.EADDRINUSE) || !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("while somebody has the lock: %v, %v", ln, err)
	}
	done := make(chan error, 1)
	go func() {
		ln, err := activation.Rebind(path, time.Minute, bindLocked)
		if err == nil {
			err = ln.Close()
		}
		done <- err
	}()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestUnixPacketConnUnlinksItsOwn(t *testing.T) {
	leakcheck.Check(t)
	path := filepath.Join(t.TempDir(), "s")
	conn := bindGram(t, path)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the path after Close: %v", err)
	}

	kept := bindGram(t, path)
	kept.SetUnlinkOnClose(false)
	kept.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the path that was to be kept: %v", err)
	}

	old := bindGram(t, path)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	other := bindGram(t, path)
	old.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("another's socket was unlinked: %v", err)
	}
	other.Close()
}

func bindGram(t *testing.T, path string) *activation.UnixPacketConn {
	t.Helper()
	conn, err := activation.BindPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	return conn.(*activation.UnixPacketConn)
}
