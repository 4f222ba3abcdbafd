package signals

import (
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ignore has the kernel drop signals from now on, in the next program
// too (execve(2)), whatever package signal knows of them. signal.Ignore is not
// up to it: sigignore in the runtime's signal_unix.go first notes that it no
// longer handles the signal and then tells the kernel, and a handler that has
// begun in between ends the process (sigfwdgo, "crash with the default
// behavior").
func Ignore(signals []os.Signal) { disposeOf(signals, 1) } // SIG_IGN

// setDefault has them do what they do in a program that knows nothing of
// signals, and at once, also if other goroutines wait for them.
func setDefault(signals []os.Signal) { disposeOf(signals, 0) } // SIG_DFL

func disposeOf(signals []os.Signal, disposition uintptr) {
	var action [32]uintptr // more than the kernel's struct sigaction; what it does not read may be zero
	setSize := uintptr(8)
	if strings.HasPrefix(runtime.GOARCH, "mips") {
		action[1], setSize = disposition, 16 // the flags come first
	} else {
		action[0] = disposition
	}
	for _, sig := range signals {
		if number, ok := sig.(syscall.Signal); ok {
			_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(number), uintptr(unsafe.Pointer(&action)), 0, setSize, 0, 0)
		}
	}
}
