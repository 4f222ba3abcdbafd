package notify

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"
)

const (
	// maxMessage is systemd's NOTIFY_BUFFER_MAX, which is PIPE_BUF: it
	// drops a longer datagram whole.
	maxMessage = 4096
	// maxDescriptors is the kernel's SCM_MAX_FD: with more, sendmsg returns
	// EINVAL.
	maxDescriptors = 253
	// maxErrno is the largest error number, in the kernel and in systemd's
	// parse_errno.
	maxErrno = 4095
	// maxName is the longest FDNAME, by systemd's fdname_is_valid.
	maxName = 255
)

// key is the part of an assignment before the equals sign.
type key uint8

const (
	noKey key = iota
	ready
	reloading
	stopping
	status
	errnoKey
	busError
	varlinkError
	exitStatus
	mainPID
	mainPIDFDID
	mainPIDFD
	watchdog
	watchdogUsec
	extendTimeout
	restartReset
	notifyAccess
	fdStore
	fdPoll
	fdStoreRemove
	endOfKeys
)

func (k key) String() string {
	return [endOfKeys]string{
		ready:         "READY",
		reloading:     "RELOADING",
		stopping:      "STOPPING",
		status:        "STATUS",
		errnoKey:      "ERRNO",
		busError:      "BUSERROR",
		varlinkError:  "VARLINKERROR",
		exitStatus:    "EXIT_STATUS",
		mainPID:       "MAINPID",
		mainPIDFDID:   "MAINPIDFDID",
		mainPIDFD:     "MAINPIDFD",
		watchdog:      "WATCHDOG",
		watchdogUsec:  "WATCHDOG_USEC",
		extendTimeout: "EXTEND_TIMEOUT_USEC",
		restartReset:  "RESTART_RESET",
		notifyAccess:  "NOTIFYACCESS",
		fdStore:       "FDSTORE",
		fdPoll:        "FDPOLL",
		fdStoreRemove: "FDSTOREREMOVE",
	}[k]
}

// keys is a set of keys.
type keys uint32

func (s keys) has(k key) bool { return s&(1<<k) != 0 }

// message is one datagram while it is built. reset keeps its buffer for the
// next.
type message struct {
	text  []byte
	fds   []int
	conns []syscall.Conn
	keys  keys

	statusFrom, statusTo int // where in text the text of a Status is
}

func (m *message) reset() {
	*m = message{text: m.text[:0]}
}

// add appends the lines and descriptors of s, if they are valid by themselves
// and the message does not have the key yet.
func (m *message) add(s *State) error {
	if err := s.check(); err != nil {
		return err
	}
	if m.keys.has(s.key) {
		return invalid(s.key, "twice in one message, and the manager reads only the first")
	}
	m.keys |= 1 << s.key
	m.line(s.key.String())
	switch {
	case s.isNumber:
		m.number(uint64(s.number))
	case s.key == status:
		m.status(s.text)
	default:
		m.text = append(m.text, s.text...)
	}
	if s.key == reloading {
		m.line("MONOTONIC_USEC")
		m.number(monotonicMicroseconds())
	}
	if s.name != "" {
		m.line("FDNAME")
		m.text = append(m.text, s.name...)
	}
	if len(s.fds)+len(s.conns) > 0 {
		m.fds, m.conns = s.fds, s.conns
	}
	return nil
}

// check finds states that are valid alone and wrong together, and a message
// that is too long. Call it after fit.
func (m *message) check() error {
	switch {
	case m.keys.has(mainPIDFDID) && !m.keys.has(mainPID):
		return invalid(mainPIDFDID, "without MAINPID in the same message")
	case m.keys.has(fdPoll) && !m.keys.has(fdStore):
		return invalid(fdPoll, "without FDSTORE in the same message")
	case m.keys.has(fdStore) && m.keys.has(fdStoreRemove):
		return invalid(fdStore, "in one message with FDSTOREREMOVE, which wins")
	case m.keys.has(fdStore) && m.keys.has(mainPIDFD):
		return invalid(fdStore, "in one message with MAINPIDFD, which takes the only descriptor")
	case len(m.text) > maxMessage:
		return fmt.Errorf("%w: message of %d bytes, more than the manager takes, %d", ErrInvalid, len(m.text), maxMessage)
	}
	return nil
}

// barrier makes m the one message that must be alone in its datagram.
func (m *message) barrier(end syscall.Conn) {
	m.line("BARRIER")
	m.text = append(m.text, '1')
	m.conns = []syscall.Conn{end}
}

func (m *message) line(name string) {
	if len(m.text) > 0 {
		m.text = append(m.text, '\n')
	}
	m.text = append(m.text, name...)
	m.text = append(m.text, '=')
}

func (m *message) number(value uint64) {
	m.text = strconv.AppendUint(m.text, value, 10)
}

// check returns an error if s alone breaks the rules of service_notify_message
// in systemd's src/core/service.c.
func (s *State) check() error {
	switch s.key {
	case noKey:
		return fmt.Errorf("%w: the zero State", ErrInvalid)
	case busError, varlinkError:
		return s.checkErrorName()
	case notifyAccess:
		return s.checkAccess()
	case errnoKey:
		return s.checkRange(0, maxErrno)
	case exitStatus:
		return s.checkRange(0, 255)
	case mainPID:
		return s.checkRange(1, math.MaxInt32)
	case watchdogUsec, extendTimeout:
		return s.checkRange(0, math.MaxInt64)
	case mainPIDFD:
		return s.checkDescriptors()
	case fdStore:
		if err := s.checkName(); err != nil {
			return err
		}
		return s.checkDescriptors()
	case fdStoreRemove:
		if s.name == "" {
			return invalid(s.key, "without a name")
		}
		return s.checkName()
	}
	return nil
}

// checkErrorName checks the text as systemd's string_is_safe_ascii does.
func (s *State) checkErrorName() error {
	for i := range len(s.text) {
		if c := s.text[i]; c < ' ' || c > '~' || strings.IndexByte(`"'\`, c) >= 0 {
			return invalidValue(s.key, s.text, "byte %q is not printable ASCII, or a quote or backslash", c)
		}
	}
	return nil
}

// checkAccess is needed because systemd uses the result of its own parsing even
// when that failed.
func (s *State) checkAccess() error {
	switch s.text {
	case "none", "main", "exec", "all":
		return nil
	}
	return invalidValue(s.key, s.text, "not none, main, exec or all")
}

// checkName checks the name as systemd's fdname_is_valid does.
func (s *State) checkName() error {
	if len(s.name) > maxName {
		return invalid(s.key, "FDNAME=%q is %d bytes long, more than the limit of %d", s.name, len(s.name), maxName)
	}
	for i := range len(s.name) {
		if c := s.name[i]; c < ' ' || c > '~' || c == ':' {
			return invalid(s.key, "FDNAME=%q: byte %q is not printable ASCII, or a colon", s.name, c)
		}
	}
	return nil
}

func (s *State) checkRange(least, most int64) error {
	if s.number < least || s.number > most {
		return fmt.Errorf("%w: %s=%d: not in %d to %d", ErrInvalid, s.key, s.number, least, most)
	}
	return nil
}

func (s *State) checkDescriptors() error {
	count := len(s.fds) + len(s.conns)
	if count == 0 || count > maxDescriptors {
		return invalid(s.key, "with %d descriptors: a message carries 1 to %d", count, maxDescriptors)
	}
	for _, fd := range s.fds {
		if fd < 0 {
			return invalid(s.key, "with descriptor %d", fd)
		}
	}
	for _, conn := range s.conns {
		if conn == nil {
			return invalid(s.key, "with a nil syscall.Conn")
		}
	}
	return nil
}

func invalid(k key, format string, args ...any) error {
	return fmt.Errorf("%w: %s "+format, append([]any{ErrInvalid, k}, args...)...)
}

func invalidValue(k key, value, format string, args ...any) error {
	return fmt.Errorf("%w: %s=%q: "+format, append([]any{ErrInvalid, k, value}, args...)...)
}
