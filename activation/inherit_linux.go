package activation

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"golang.org/x/sys/unix"
)

func thisProcess() process {
	self := process{pid: os.Getpid(), pidfdID: ownPIDFDID, maxFiles: maxPID}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		self.maxFiles = min(limit.Cur, maxPID)
	}
	return self
}

// ownPIDFDID is pidfd_get_inode_id_self_cached of systemd: since Linux 6.9
// pidfds live on a file system of their own, where the inode number is never
// used again. Before, all pidfds shared one inode, and on 32-bit machines
// st_ino holds half of it: no answer then, and the check is left out, as
// libsystemd does.
func ownPIDFDID() (uint64, bool) {
	if strconv.IntSize < 64 {
		return 0, false
	}
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return 0, false
	}
	defer func() { _ = unix.Close(fd) }()
	var fsStat unix.Statfs_t
	if err := unix.Fstatfs(fd, &fsStat); err != nil || uint32(fsStat.Type) != unix.PID_FS_MAGIC {
		return 0, false
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return 0, false
	}
	return stat.Ino, true
}

// take makes the table from what the variables said. On an error it closes what
// was really handed, unless nothing proves that it was.
func take(h handed, parseErr error) (*Table, error) {
	files, err := receive(len(h.names))
	if h.doubt != "" && err != nil {
		return &Table{ignored: fmt.Errorf("%s; and %w", h.doubt, err)}, nil
	}
	proven := h.predecessor == 0
	if !proven && parseErr == nil {
		if why := distrust(h, files); why != nil {
			return &Table{ignored: fmt.Errorf("activation: %s=%d is not believed: %w", varPredecessor, h.predecessor, why)}, nil
		}
		proven = true
	}
	if parseErr != nil {
		err = parseErr
	}
	if err != nil {
		if proven {
			fdutil.CloseAll(files)
		}
		return nil, err
	}
	return fill(h, files)
}

func fill(h handed, files []int) (*Table, error) {
	t := &Table{ignored: h.ignored, predecessor: h.predecessor, remoteAddr: h.remoteAddr, remotePort: h.remotePort}
	for i, fd := range files {
		e, err := inspect(fd, h.names[i])
		if err != nil {
			fdutil.CloseAll(files)
			return nil, err
		}
		t.entries = append(t.entries, e)
	}
	if h.predecessor == 0 {
		return t, nil
	}
	e := t.entries[slices.Index(h.names, HandoverName)]
	e.Claimed = true // by Predecessor, and by nobody else
	conn, err := adopt(e, net.FileConn)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	t.handover = conn.(*net.UnixConn)
	return t, nil
}

// receive sets close-on-exec on count descriptors and returns those that were
// handed to this process. A descriptor that has the flag already was not: exec
// would have closed it. Without this check a missing file would be mistaken for
// one the Go runtime opened in its place, which is often the epoll descriptor.
func receive(count int) ([]int, error) {
	var files []int
	var failed error
	for fd := firstFD; fd < firstFD+count; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		switch {
		case err != nil:
			err = os.NewSyscallError("fcntl", err)
		case flags&unix.FD_CLOEXEC != 0:
			err = errors.New("it was opened by this process")
		default:
			unix.CloseOnExec(fd)
			files = append(files, fd)
			continue
		}
		if failed == nil {
			failed = fmt.Errorf("activation: %s=%d: descriptor %d was not handed: %w: %w", varCount, count, fd, err, ErrMalformed)
		}
	}
	return files, failed
}

// distrust says why the variables do not come from the predecessor they name,
// nil if they do. Variables alone prove nothing: they are inherited by
// accident, from a daemon's child to the child of that.
func distrust(h handed, files []int) error {
	i := slices.Index(h.names, HandoverName)
	if i < 0 {
		return fmt.Errorf("no file named %q came with it", HandoverName)
	}
	if !slices.Contains(files, firstFD+i) {
		return fmt.Errorf("the descriptor %d named %q was not handed", firstFD+i, HandoverName)
	}
	e, err := inspect(firstFD+i, HandoverName)
	if err != nil {
		return err
	}
	if e.Network != "unixpacket" || e.Listening {
		return fmt.Errorf("%s is no connected Unix seqpacket socket: %w", e, ErrWrongType)
	}
	cred, err := unix.GetsockoptUcred(e.fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if int(cred.Pid) != h.predecessor {
		return fmt.Errorf("%s comes from process %d", e, cred.Pid)
	}
	return nil
}
