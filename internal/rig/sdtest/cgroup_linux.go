package sdtest

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// cgroupPrefix begins the names of the control groups of all machines.
const cgroupPrefix = "heirloom-sdtest-"

// cgroupTimeout is how long killed processes may take to leave a control group,
// as package patience stretches it.
const cgroupTimeout = 30 * time.Second

// cgroup is a machine's root control group.
type cgroup struct {
	path string
	dir  *os.File // holds the lock that says the machine's test lives; the kernel drops it when the process dies
}

// cgroupMount returns where cgroup v2 is mounted: /sys/fs/cgroup on most
// machines, a folder below it where v1 is in use.
func cgroupMount() (string, error) {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 2 && fields[2] == "cgroup2" {
			return fields[1], nil
		}
	}
	return "", errors.Join(errors.New("cgroup v2 is not mounted"), lines.Err())
}

// newCgroup removes what killed tests left, makes a control group and locks it.
// Meanwhile it holds a lock on the mount, or another test might take the new
// group for a left one before it is locked.
func newCgroup() (*cgroup, error) {
	mount, err := cgroupMount()
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(mount, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Close() }()
	if err := sweep(mount); err != nil {
		return nil, fmt.Errorf("remove what a killed test left: %w", err)
	}
	path := filepath.Join(mount, cgroupPrefix+strings.ToLower(rand.Text()[:8]))
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, err
	}
	dir, err := lockDir(path, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return &cgroup{path: path, dir: dir}, nil
}

// remove kills what is in the control group, removes it, and gives the lock
// back.
func (g *cgroup) remove() error {
	return errors.Join(removeCgroup(g.path), g.dir.Close())
}

// sweep removes the control groups whose test process has died: those that
// nobody holds locked.
func sweep(mount string) error {
	paths, err := filepath.Glob(filepath.Join(mount, cgroupPrefix+"*"))
	for _, path := range paths {
		dir, lockErr := lockDir(path, unix.LOCK_EX|unix.LOCK_NB)
		if lockErr != nil {
			continue // in use, or just removed by its own test
		}
		err = errors.Join(err, removeCgroup(path), dir.Close())
	}
	return err
}

// lockDir opens and locks a folder, until it is closed. With LOCK_NB it answers
// an error that wraps EWOULDBLOCK when somebody else has it locked.
func lockDir(path string, how int) (*os.File, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), how); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "flock", Path: path, Err: err}, dir.Close())
	}
	return dir, nil
}

// removeCgroup kills what is in a control group and removes it with all below
// it. It is no error if it is gone already.
func removeCgroup(path string) error {
	// It is only needed for what a killed test left in the very moment it died,
	// and not there before Linux 5.14.
	if kill, err := os.OpenFile(filepath.Join(path, "cgroup.kill"), os.O_WRONLY, 0); err == nil {
		_, _ = kill.WriteString("1")
		_ = kill.Close()
	}
	var err error
	if !patience.Until(cgroupTimeout, func() bool { err = removeTree(path); return !errors.Is(err, syscall.EBUSY) }) {
		return fmt.Errorf("after %v: %w", cgroupTimeout, err)
	}
	return err
}

// removeTree removes a folder of folders from its leaves up. The files in them
// are the kernel's, and no hindrance.
func removeTree(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, removeTree(filepath.Join(path, e.Name())))
		}
	}
	if err != nil {
		return err
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
