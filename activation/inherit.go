package activation

import "os"

// Inherit reads LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PID, LISTEN_PIDFDID,
// HEIRLOOM_PREDECESSOR, REMOTE_ADDR and REMOTE_PORT, clears them, sets
// close-on-exec on each descriptor they speak of, and returns the table of
// those files, which owns them from then on. Call it once, early in main,
// before anything starts a child process; a second call finds no variables and
// returns an empty table, as does a process that was handed nothing.
//
// The variables are for this process if LISTEN_PID is its pid (and
// LISTEN_PIDFDID, where set and where the kernel has pidfs, the inode number of
// its pidfd), or if LISTEN_PID is not set, HEIRLOOM_PREDECESSOR is, and the
// file named [HandoverName] is a connected Unix SOCK_SEQPACKET socket made by
// the process of that pid (SO_PEERCRED, unix(7)). PID 1 believes LISTEN_PID and
// LISTEN_PIDFDID of another process as well if every descriptor is there, since
// with PrivatePIDs= systemd names the process before it. Otherwise they are set
// aside, which is no error: the table is empty and [Table.Ignored] says why.
// The descriptors are then left open, since they may belong to something else
// in this process; those of an untrusted predecessor are at least made
// close-on-exec.
//
// A variable that is set to nothing counts as not set, LISTEN_FDNAMES excepted,
// which may stand for one empty name.
//
// Values that have no sense are an error matching [ErrMalformed] that names the
// variable and quotes the value: a number that is not plain decimal, more files
// than RLIMIT_NOFILE, names that are too many, too few or refused by systemd,
// and a descriptor that is not open or was opened by this process itself. The
// variables are cleared and the descriptors they spoke of are closed then too,
// as far as they were really handed.
//
// On systems other than Linux the table is always empty; if LISTEN_FDS was set,
// Ignored matches errors.ErrUnsupported.
func Inherit() (*Table, error) {
	h, err := parse(os.LookupEnv, thisProcess())
	for _, variable := range consumed() {
		if clearErr := os.Unsetenv(variable); err == nil {
			err = clearErr
		}
	}
	return take(h, err)
}
