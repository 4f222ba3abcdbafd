package activation

import (
	"fmt"
	"strconv"
	"strings"
)

// HandoverName is the name under which a predecessor hands its successor the
// handover socket, a connected Unix SOCK_SEQPACKET socket that the predecessor
// itself created. See [Table.Predecessor].
const HandoverName = "heirloom"

// Environ returns base, a list like that of os.Environ, made ready for a
// successor that is started with the descriptors 3, 4, ... under these names,
// in this order: LISTEN_FDS, LISTEN_FDNAMES and HEIRLOOM_PREDECESSOR are set,
// and what would be stale in the new process is removed (LISTEN_PID,
// LISTEN_PIDFDID, WATCHDOG_PID, SYSTEMD_EXEC_PID, REMOTE_ADDR, REMOTE_PORT).
// The successor's [Inherit] takes the files only if one of them is named
// [HandoverName] and its SO_PEERCRED is predecessor, the pid of the calling
// process; with re-exec in place that is its own.
//
// No variable appears twice in the result. Of several entries for one, the
// first is kept: that is what os.Getenv of the successor would return (package
// syscall, env_unix.go), while exec.Cmd keeps the last. Entries without '=' and
// entries without a name are dropped. base itself is not changed.
//
// A pid that is not positive, a name that systemd would refuse (see
// sd_pid_notify_with_fds(3), FDNAME=) and a NUL byte in an entry are errors
// that match [ErrMalformed]. Environ touches no descriptor.
func Environ(base []string, predecessor int, names []string) ([]string, error) {
	if predecessor <= 0 {
		return nil, malformed(varPredecessor, strconv.Itoa(predecessor), "is no process")
	}
	for _, name := range names {
		if err := checkName(name); err != nil {
			return nil, malformed(varNames, strings.Join(names, ":"), err.Error())
		}
	}
	kept, err := keep(base)
	if err != nil {
		return nil, err
	}
	return append(kept,
		varCount+"="+strconv.Itoa(len(names)),
		varNames+"="+strings.Join(names, ":"),
		varPredecessor+"="+strconv.Itoa(predecessor)), nil
}

// keep returns the entries of base that are still true in the successor, each
// variable once.
func keep(base []string) ([]string, error) {
	seen := map[string]bool{"": true, "WATCHDOG_PID": true, "SYSTEMD_EXEC_PID": true}
	for _, variable := range consumed() {
		seen[variable] = true
	}
	kept := make([]string, 0, len(base)+3)
	for _, entry := range base {
		variable, _, found := strings.Cut(entry, "=")
		if !found || seen[variable] {
			continue
		}
		if strings.IndexByte(entry, 0) >= 0 {
			return nil, fmt.Errorf("activation: the environment entry %q has a NUL byte: %w", clip(entry), ErrMalformed)
		}
		seen[variable] = true
		kept = append(kept, entry)
	}
	return kept, nil
}
