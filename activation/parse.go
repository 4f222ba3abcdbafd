package activation

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The variables of sd_listen_fds(3) and systemd.exec(5), and the one of ours.
const (
	varCount       = "LISTEN_FDS"
	varNames       = "LISTEN_FDNAMES"
	varPID         = "LISTEN_PID"
	varPIDFDID     = "LISTEN_PIDFDID"
	varPredecessor = "HEIRLOOM_PREDECESSOR"
	varRemoteAddr  = "REMOTE_ADDR"
	varRemotePort  = "REMOTE_PORT"
)

const (
	firstFD     = 3 // SD_LISTEN_FDS_START
	maxName     = 255
	unnamed     = "unknown" // what libsystemd calls files without LISTEN_FDNAMES
	maxPID      = 1<<31 - 1
	decimalRule = "must be a plain decimal number"
)

// consumed lists every variable that Inherit reads and then clears.
func consumed() []string {
	return []string{varCount, varNames, varPID, varPIDFDID, varPredecessor, varRemoteAddr, varRemotePort}
}

// process is what the parser must know about the process it runs in.
type process struct {
	pid      int
	pidfdID  func() (id uint64, ok bool) // ok is false where the kernel has none
	maxFiles uint64                      // RLIMIT_NOFILE
}

// handed is what the variables say, before anyone has looked at a descriptor.
type handed struct {
	names       []string // one for each descriptor, from firstFD on
	predecessor int      // who says so; 0 means the service manager
	remoteAddr  string
	remotePort  string
	ignored     error  // why the variables are not for this process
	doubt       string // why they may not be, and are believed only if the descriptors are there: see addressee
}

// parse reads the variables and nothing else. It follows
// sd_listen_fds_with_names of libsystemd (sd-daemon.c), which looks at
// LISTEN_PID first: the rest of what is meant for another process may be
// anything. It is stricter about the numbers: where libsystemd takes spaces,
// signs and octal, an error is returned.
func parse(get func(string) (string, bool), self process) (handed, error) {
	get = unlessEmpty(get)
	h, err := addressee(get, self)
	if err != nil || h.ignored != nil {
		return handed{ignored: h.ignored}, err
	}
	if _, ok := get(varCount); !ok {
		return handed{predecessor: h.predecessor}, nil
	}
	count, err := fileCount(get, self.maxFiles)
	if err == nil {
		h.names, err = fileNames(get, count)
	}
	if err != nil {
		return h.spoiled(count, err)
	}
	h.remoteAddr, _ = get(varRemoteAddr)
	h.remotePort, _ = get(varRemotePort)
	return h, nil
}

// unlessEmpty takes a variable that is set to nothing for one that is not set:
// `env LISTEN_PID= program` and Environment=LISTEN_PID= are how people take one
// away. LISTEN_FDNAMES alone may mean an empty name.
func unlessEmpty(get func(string) (string, bool)) func(string) (string, bool) {
	return func(variable string) (string, bool) {
		value, ok := get(variable)
		return value, ok && (value != "" || variable == varNames)
	}
}

// spoiled is what is left of h when the count or the names, of so many
// descriptors, make no sense.
func (h handed) spoiled(count int, err error) (handed, error) {
	switch {
	case h.doubt != "":
		return handed{ignored: fmt.Errorf("%s; and %w", h.doubt, err)}, nil
	case count > 0: // it was sound, so the descriptors are there and ours to close
		return handed{names: make([]string, count), predecessor: h.predecessor}, err
	default:
		return handed{}, err
	}
}

// addressee finds out whether the variables are for this process. A predecessor
// cannot know the pid of a process it has not started yet, so it names itself
// instead; whether it may be believed is seen later, at the descriptors.
//
// With PrivatePIDs=yes systemd 257 to 262 sets LISTEN_PID and LISTEN_PIDFDID to
// those of a process in between, and the service is PID 1 of a namespace of its
// own. PID 1 has no older process beside it for which they could be meant. So
// it has its doubts, but believes them if every descriptor is there that they
// speak of, and else sets them aside without complaint.
func addressee(get func(string) (string, bool), self process) (handed, error) {
	pid, ok := get(varPID)
	if !ok {
		predecessor, ignored, err := fromPredecessor(get)
		return handed{predecessor: predecessor, ignored: ignored}, err
	}
	n, err := decimal(varPID, pid, maxPID)
	if err != nil {
		return handed{}, err
	}
	if n != uint64(self.pid) {
		other := fmt.Errorf("activation: %s=%d is another process, this one is %d", varPID, n, self.pid)
		if self.pid == 1 {
			return handed{doubt: other.Error()}, nil
		}
		return handed{ignored: other}, nil
	}
	ignored, err := samePIDFD(get, self)
	if ignored != nil && self.pid == 1 {
		return handed{doubt: ignored.Error()}, err
	}
	return handed{ignored: ignored}, err
}

func fromPredecessor(get func(string) (string, bool)) (predecessor int, ignored, err error) {
	value, ok := get(varPredecessor)
	if !ok {
		if count, ok := get(varCount); ok {
			ignored = fmt.Errorf("activation: %s=%q says nothing about whom it is for: %s is not set", varCount, clip(count), varPID)
		}
		return 0, ignored, nil
	}
	n, err := decimal(varPredecessor, value, maxPID)
	if err == nil && n == 0 {
		err = malformed(varPredecessor, value, "is no process")
	}
	return int(n), nil, err
}

// samePIDFD guards against a pid that was used again: the inode of a pidfd is
// unique until the next boot.
func samePIDFD(get func(string) (string, bool), self process) (ignored, err error) {
	value, ok := get(varPIDFDID)
	if !ok {
		return nil, nil
	}
	want, err := decimal(varPIDFDID, value, 1<<64-1)
	if err != nil {
		return nil, err
	}
	if own, ok := self.pidfdID(); ok && own != want {
		return fmt.Errorf("activation: %s=%d is another process, this one is %d", varPIDFDID, want, own), nil
	}
	return nil, nil
}

func fileCount(get func(string) (string, bool), maxFiles uint64) (int, error) {
	value, _ := get(varCount)
	n, err := decimal(varCount, value, maxPID)
	if err != nil {
		return 0, err
	}
	if n > 0 && n+firstFD > maxFiles {
		return 0, malformed(varCount, value, fmt.Sprintf("is more than RLIMIT_NOFILE (%d) allows", maxFiles))
	}
	return int(n), nil
}

func fileNames(get func(string) (string, bool), count int) ([]string, error) {
	value, ok := get(varNames)
	if !ok {
		return repeat(unnamed, count), nil
	}
	if count == 0 && value == "" {
		return nil, nil
	}
	if n := strings.Count(value, ":") + 1; n != count {
		return nil, malformed(varNames, value, fmt.Sprintf("has %d names for %s=%d", n, varCount, count))
	}
	names := strings.Split(value, ":")
	for _, name := range names {
		if err := checkName(name); err != nil {
			return nil, malformed(varNames, value, err.Error())
		}
	}
	return names, nil
}

func repeat(name string, count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = name
	}
	return names
}

// checkName is fdname_is_valid of systemd (src/basic/fd-util.c): printable
// ASCII without ':', at most 255 bytes. The empty name is allowed there too.
func checkName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("a name has %d bytes, more than %d", len(name), maxName)
	}
	for i := range len(name) {
		if c := name[i]; c < ' ' || c >= 127 || c == ':' {
			return fmt.Errorf("the name %q has the byte %#02x in it", name, c)
		}
	}
	return nil
}

// decimal accepts what a program writes with %d and nothing else. A leading
// zero is refused because libsystemd would read the number as octal.
func decimal(variable, value string, most uint64) (uint64, error) {
	if value == "" {
		return 0, malformed(variable, value, "is empty")
	}
	if strings.Trim(value, "0123456789") != "" || (value[0] == '0' && value != "0") {
		return 0, malformed(variable, value, decimalRule)
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if errors.Is(err, strconv.ErrRange) || n > most {
		return 0, malformed(variable, value, fmt.Sprintf("is more than %d", most))
	}
	return n, err
}
