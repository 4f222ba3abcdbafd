package notify_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/notify"
)

// homeVariable names the socket on which the test waits for the processes of a
// service.
const homeVariable = "NOTIFY_TEST_HOME"

// hello is the first line a managed process writes home.
type hello struct {
	PID      int
	ID       uint64            // of its pidfd
	Watchdog time.Duration     // what WatchdogInterval returned
	Files    map[string]string // what it was started with: names, and contents or "listener"
}

// managed is a process of a service that does what the test orders, one line at
// a time, and answers each order with a line: what went wrong, or nothing. When
// the test hangs up it exits.
type managed struct {
	notifier *notify.Notifier
	home     net.Conn
	writers  map[string]*os.File // of stored pipes
}

func playManaged() error {
	notifier, err := notify.New()
	if err != nil {
		return err
	}
	defer notifier.Close()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	home, err := net.Dial("unix", os.Getenv(homeVariable))
	if err != nil {
		return err
	}
	defer home.Close()
	m := &managed{notifier: notifier, home: home, writers: map[string]*os.File{}}
	if err := m.greet(); err != nil {
		return err
	}
	go func() {
		for range hangups {
			_, _ = fmt.Fprintln(home, "hangup")
		}
	}()
	for orders := bufio.NewScanner(home); orders.Scan(); {
		answer := ""
		if err := m.obey(orders.Text()); err != nil {
			answer = err.Error()
		}
		if _, err := fmt.Fprintln(home, answer); err != nil {
			return err
		}
	}
	return nil
}

func (m *managed) greet() error {
	h := hello{PID: os.Getpid()}
	pidfd, err := unix.PidfdOpen(h.PID, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	var stat unix.Stat_t
	if err := unix.Fstat(pidfd, &stat); err != nil {
		return err
	}
	h.ID = stat.Ino
	if h.Watchdog, err = notify.WatchdogInterval(); err != nil {
		return err
	}
	if h.Files, err = inherited(); err != nil {
		return err
	}
	return json.NewEncoder(m.home).Encode(h)
}

// inherited reads LISTEN_FDS and LISTEN_FDNAMES, see sd_listen_fds(3).
func inherited() (map[string]string, error) {
	files := map[string]string{}
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return files, nil
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	if count := os.Getenv("LISTEN_FDS"); count != strconv.Itoa(len(names)) {
		return nil, fmt.Errorf("LISTEN_FDS=%s, LISTEN_FDNAMES=%q", count, names)
	}
	for i, name := range names {
		if accepts, err := unix.GetsockoptInt(3+i, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && accepts == 1 {
			files[name] = "listener"
			continue
		}
		contents := make([]byte, 100)
		n, err := unix.Pread(3+i, contents, 0)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[name] = string(contents[:n])
	}
	return files, nil
}

// obey follows an order: one of these, or to send a message of tab-separated
// assignments.
func (m *managed) obey(order string) error {
	verb, value, _ := strings.Cut(order, " ")
	switch verb {
	case "barrier":
		return m.barrier(value)
	case "tend":
		return m.tend(value)
	case "fork":
		return fork()
	case "break":
		return m.writers[value].Close()
	}
	return m.say(strings.Split(order, "\t"))
}

func (m *managed) barrier(limit string) error {
	d, err := time.ParseDuration(limit)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return m.notifier.Barrier(ctx)
}

// tend keeps the watchdog quiet for so long.
func (m *managed) tend(span string) error {
	d, err := time.ParseDuration(span)
	if err != nil {
		return err
	}
	interval, err := notify.WatchdogInterval()
	if err != nil {
		return err
	}
	tick := time.NewTicker(interval / 10)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		if err := m.notifier.Notify(notify.Watchdog()); err != nil {
			return err
		}
	}
	return nil
}

// fork starts another managed process in the same unit.
func fork() error {
	child, err := os.StartProcess("/proc/self/exe", os.Args, &os.ProcAttr{Env: os.Environ()})
	if err != nil {
		return err
	}
	return child.Release()
}

func (m *managed) say(assignments []string) error {
	states := make([]notify.State, len(assignments))
	for i, assignment := range assignments {
		state, release, err := m.state(assignment)
		if err != nil {
			return err
		}
		defer release()
		states[i] = state
	}
	return m.notifier.Notify(states...)
}

var (
	plainStates = map[string]notify.State{
		"READY=1":          notify.Ready(),
		"RELOADING=1":      notify.Reloading(),
		"STOPPING=1":       notify.Stopping(),
		"WATCHDOG=trigger": notify.WatchdogTrigger(),
		"RESTART_RESET=1":  notify.RestartReset(),
		"FDPOLL=0":         notify.FDStoreNoPoll(),
	}
	textStates = map[string]func(string) notify.State{
		"STATUS":        notify.Status,
		"BUSERROR":      notify.BusError,
		"VARLINKERROR":  notify.VarlinkError,
		"NOTIFYACCESS":  notify.NotifyAccess,
		"FDSTOREREMOVE": notify.FDStoreRemove,
	}
	numberStates = map[string]func(uint64) notify.State{
		"ERRNO":       func(n uint64) notify.State { return notify.Errno(syscall.Errno(n)) },
		"EXIT_STATUS": func(n uint64) notify.State { return notify.ExitStatus(int(n)) },
		"MAINPID":     func(n uint64) notify.State { return notify.MainPID(int(n)) },
		"MAINPIDFDID": notify.MainPIDFDID,
	}
	durationStates = map[string]func(time.Duration) notify.State{
		"WATCHDOG_USEC":       notify.WatchdogUsec,
		"EXTEND_TIMEOUT_USEC": notify.ExtendTimeout,
	}
)

// state makes a State of an assignment written as it will be sent, but for
// durations, which have a unit, and for MAINPIDFD and the stored files, whose
// values say what to open. Release is to be called when the State was sent.
func (m *managed) state(assignment string) (s notify.State, release func(), err error) {
	release = func() {}
	if state, found := plainStates[assignment]; found {
		return state, release, nil
	}
	key, value, _ := strings.Cut(assignment, "=")
	if state, found := textStates[key]; found {
		return state(value), release, nil
	}
	if state, found := numberStates[key]; found {
		number, err := strconv.ParseUint(value, 10, 64)
		return state(number), release, err
	}
	if state, found := durationStates[key]; found {
		d, err := time.ParseDuration(value)
		return state(d), release, err
	}
	switch key {
	case "MAINPIDFD":
		return openPIDFD(value)
	case "file":
		return storeMemory(value)
	case "pipe":
		return m.storePipe(value)
	case "listener":
		return storeListener(value)
	}
	return s, release, fmt.Errorf("cannot say %q", assignment)
}

func openPIDFD(pid string) (notify.State, func(), error) {
	number, err := strconv.Atoi(pid)
	if err != nil {
		return notify.State{}, nil, err
	}
	pidfd, err := unix.PidfdOpen(number, 0)
	return notify.MainPIDFD(pidfd), func() { _ = unix.Close(pidfd) }, err
}

// storeMemory stores a file in memory, whose contents are its name in capitals.
func storeMemory(name string) (notify.State, func(), error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return notify.State{}, nil, err
	}
	_, err = unix.Pwrite(fd, []byte(strings.ToUpper(name)), 0)
	return notify.FDStore(name, fd), func() { _ = unix.Close(fd) }, err
}

// storePipe stores the reading end of a pipe, and keeps the writing end.
func (m *managed) storePipe(name string) (notify.State, func(), error) {
	r, w, err := os.Pipe()
	if err != nil {
		return notify.State{}, nil, err
	}
	m.writers[name] = w
	return notify.FDStoreConn(name, r), func() { _ = r.Close() }, nil
}

func storeListener(name string) (notify.State, func(), error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return notify.State{}, nil, err
	}
	return notify.FDStoreConn(name, listener.(*net.TCPListener)), func() { _ = listener.Close() }, nil
}
