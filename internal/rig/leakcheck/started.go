package leakcheck

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// killLimit is for killed processes to be gone.
const killLimit = 30 * time.Second

// looks is how many looks in a row must find nothing for nothing to be left: a
// process may start another with a lower number, and end, during a look.
const looks = 3

// passes is how often Started looks for processes that it has not seen.
const passes = 10

// Started returns the ids of the processes that started with a variable, as in
// "NAME=value", and live: what they start inherits it. This process is not
// among them. What was started while it looked, by a process that ended before
// it came to that, is found in another pass.
func Started(variable string) []int {
	var pids []int
	seen := map[string]bool{fmt.Sprintf("/proc/%d", os.Getpid()): true}
	for range passes {
		dirs, _ := filepath.Glob("/proc/[0-9]*")
		dirs = slices.DeleteFunc(dirs, func(dir string) bool { return seen[dir] })
		if len(dirs) == 0 {
			break
		}
		for _, dir := range dirs {
			seen[dir] = true
			pid, err := strconv.Atoi(filepath.Base(dir))
			variables := bytes.Split(environment(dir), []byte{0})
			if err == nil && slices.ContainsFunc(variables, func(v []byte) bool { return string(v) == variable }) {
				pids = append(pids, pid)
			}
		}
	}
	slices.Sort(pids)
	return pids
}

// environment reads what a process started with. In the middle of an execve(2)
// a process has neither environment nor arguments, though it has a file: then
// the new program's is waited for. It is nil for one that is gone, or whose
// environment this user may not read.
func environment(dir string) []byte {
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		env, err := os.ReadFile(dir + "/environ")
		if err != nil || len(env) > 0 {
			return env
		}
		args, err := os.ReadFile(dir + "/cmdline")
		if err != nil || len(args) > 0 {
			return nil
		}
		if _, err := os.Readlink(dir + "/exe"); err != nil || time.Since(began) > time.Second { // a zombie, or the kernel's own
			return nil
		}
	}
}

// Kill kills all that started with a variable, and what they start meanwhile,
// until nothing is left. It returns which processes it has killed, and false if
// some are left all the same. It is for the end of a test that has started
// programs which start others.
func Kill(variable string) (killed []int, gone bool) {
	found := 0 // nothing, so many times in a row
	gone = patience.Until(killLimit, func() bool {
		pids := Started(variable)
		for _, pid := range pids {
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill()
				_ = p.Release()
			}
			if !slices.Contains(killed, pid) {
				killed = append(killed, pid)
			}
		}
		if found++; len(pids) > 0 {
			found = 0
		}
		return found >= looks
	})
	return killed, gone
}
