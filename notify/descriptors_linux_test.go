package notify_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/notify"
)

func TestFDStore(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	file, err := os.CreateTemp(t.TempDir(), "state")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	tcp := listener.(*net.TCPListener)
	for _, test := range []struct {
		states []notify.State
		want   string
		fds    []int
	}{
		{states(notify.FDStore("state", descriptor(t, file))), "FDSTORE=1\nFDNAME=state", []int{descriptor(t, file)}},
		{states(notify.FDStore("", descriptor(t, file))), "FDSTORE=1", []int{descriptor(t, file)}},
		{states(notify.FDStore(strings.Repeat("n", 255), descriptor(t, file))), "FDSTORE=1\nFDNAME=" + strings.Repeat("n", 255), []int{descriptor(t, file)}},
		{states(notify.FDStoreConn("web", tcp, file, os.Stderr), notify.FDStoreNoPoll()), "FDSTORE=1\nFDNAME=web\nFDPOLL=0",
			[]int{descriptor(t, tcp), descriptor(t, file), descriptor(t, os.Stderr)}},
		{states(notify.Ready(), notify.FDStore("a", 0, 1, 2), notify.Status("s")), "READY=1\nFDSTORE=1\nFDNAME=a\nSTATUS=s", []int{0, 1, 2}},
	} {
		if err := n.Notify(test.states...); err != nil {
			t.Fatal(err)
		}
		got := r.next()
		if got.text != test.want || len(got.fds) != len(test.fds) {
			t.Fatalf("received %q with %d descriptors, want %q with %d", got.text, len(got.fds), test.want, len(test.fds))
		}
		for i, fd := range got.fds {
			if !sameFile(t, fd, test.fds[i]) {
				t.Errorf("%q: descriptor %d is another file", test.want, i)
			}
		}
		got.close()
	}
	flags, err := unix.FcntlInt(uintptr(descriptor(t, tcp)), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("the listener was made blocking: flags %#x, error %v", flags, err)
	}
}

// descriptor returns the number behind conn, which stays valid as long as conn
// is open.
func descriptor(t *testing.T, conn syscall.Conn) int {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	if err := raw.Control(func(fd uintptr) { number = int(fd) }); err != nil {
		t.Fatal(err)
	}
	return number
}

func TestMostDescriptors(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	fds, conns := make([]int, 253), make([]syscall.Conn, 253)
	for i := range conns {
		conns[i] = os.Stderr
	}
	for _, state := range []notify.State{notify.FDStore("many", fds...), notify.FDStoreConn("many", conns...)} {
		if err := n.Notify(state); err != nil {
			t.Fatal(err)
		}
		got := r.next()
		if len(got.fds) != 253 {
			t.Errorf("received %d", len(got.fds))
		}
		got.close()
	}
}

func TestClosedDescriptors(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	_ = read.Close()
	if err := n.Notify(notify.FDStoreConn("a", write, read)); !errors.Is(err, notify.ErrInvalid) {
		t.Errorf("closed file: %v", err)
	}
	if err := n.Notify(notify.FDStore("a", 1<<20)); !errors.Is(err, syscall.EBADF) {
		t.Errorf("closed number: %v", err)
	}
	r.none()
}

func TestMainPIDFD(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	if err := n.Notify(notify.MainPID(os.Getpid()), notify.MainPIDFD(pidfd), notify.Ready()); err != nil {
		t.Fatal(err)
	}
	got := r.next()
	defer got.close()
	if want := fmt.Sprintf("MAINPID=%d\nMAINPIDFD=1\nREADY=1", os.Getpid()); got.text != want || len(got.fds) != 1 {
		t.Fatalf("received %q with %d descriptors, want %q", got.text, len(got.fds), want)
	}
	if !sameFile(t, got.fds[0], pidfd) {
		t.Error("received another file")
	}
}
