package predecessor_test

import (
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/predecessor"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// failSends has sendmsg(2) fail in the thread of a goroutine, which keeps that
// thread to the end of both.
func failSends(t *testing.T, errno unix.Errno) {
	runtime.LockOSThread()
	const offsetOfNumber = 0 // struct seccomp_data in linux/seccomp.h
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offsetOfNumber},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SENDMSG, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	if err == nil {
		err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
	}
	if err != nil {
		t.Errorf("seccomp: %v", err)
	}
}

// TestListenMute cannot acknowledge the connections of the first of two
// messages. It must not acknowledge those of the second: the predecessor would
// take that for the first.
func TestListenMute(t *testing.T) {
	here, there := pair(t)
	p := predecessor.New(here, os.Getpid(), 1)
	for range 2 {
		if err := there.Send(handover.Message{Type: handover.Connections}, 0); err != nil {
			t.Fatal(err)
		}
	}
	delivered, over := make(chan predecessor.Delivery, 1), make(chan struct{})
	go func() {
		defer close(over)
		failSends(t, unix.EIO)
		p.Listen(transfer.NewReceiver(nil, hclog.NewNullLogger()), func(d predecessor.Delivery, released <-chan struct{}) bool {
			delivered <- d
			return true
		})
	}()
	if err := there.Send(handover.Message{Type: handover.Cut}); err != nil {
		t.Fatal(err)
	}
	d := <-delivered
	if d.Err == nil || errors.Is(d.Err, io.EOF) || len(d.Descriptors) > 0 {
		t.Errorf("delivered %+v, want an error", d)
	}
	p.Close()
	<-over
	if m, _, err := there.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("the predecessor was told %+v, %v, want the end", m, err)
	}
}
