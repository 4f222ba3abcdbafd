package lifecycle

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/manager"
	"github.com/heirloom-go/heirloom/notify"
)

// endingTimeout bounds the question whether the service ends for good.
const endingTimeout = 500 * time.Millisecond

// errNotKept is the error of a store that is full, or that the unit does not have (FileDescriptorStoreMax=).
var errNotKept = errors.New("the file descriptor store has no room")

// store puts into the file descriptor store what a process needs that comes after this one by a restart or a crash, and takes
// out what this one no longer wants.
//
// That is a handover socket, whose queue is empty yet, and every listener that is not systemd's own. systemd recognises a
// socket that it has already, by whatever descriptor (kcmp(2)), so nothing is stored twice.
func (m *machine) store() {
	if m.notifier == nil {
		return
	}
	m.atStep("store")
	for _, name := range m.obsolete() {
		m.tell(notify.FDStoreRemove(name))
	}
	if m.storeIsTight() {
		m.removeOlder()
	}
	err := m.openStore()
	if errors.Is(err, errNotKept) && m.removeOlder() {
		err = m.openStore()
	}
	if errors.Is(err, errNotKept) {
		return
	}
	for _, l := range m.listeners {
		socket, ok := l.socket.(syscall.Conn)
		if !ok || !l.isStored() {
			continue
		}
		states := []notify.State{notify.FDStoreConn(l.name, socket)}
		if _, ok := l.socket.(packetSocket); ok { // which an ICMP error must not remove (IP_RECVERR in ip(7))
			states = append(states, notify.FDStoreNoPoll())
		}
		m.tell(states...)
	}
	m.removeOlder()
	m.atStep("stored")
}

// storeIsTight reports whether the store has no room for the handover sockets of two generations at once, as far as systemd
// tells (254 and newer do).
func (m *machine) storeIsTight() bool {
	room, err := strconv.Atoi(os.Getenv("FDSTORE"))
	for _, l := range m.listeners {
		if l.isStored() {
			room--
		}
	}
	return err == nil && room < 2
}

// removeOlder removes what the generation before has in the store, unless its connections are still to be taken out. It
// reports whether there was anything to remove.
func (m *machine) removeOlder() bool {
	name := storedName(m.generation - 1)
	isEstate := func(e *estate) bool { return e.name == name }
	if m.generation == 1 || slices.ContainsFunc(m.estates, isEstate) || slices.Contains(m.foreign, name) {
		return false
	}
	m.tell(notify.FDStoreRemove(name))
	return true
}

// openStore stores a handover socket. The error matches errNotKept if it was refused.
//
// The store is silent. But when it has refused the end to be read, nobody has that, which shows on the other end: not at
// once, since systemd closes it in the background. So this is certain only later, when it matters.
func (m *machine) openStore() error {
	if m.stored != nil {
		m.stored.close()
	}
	var err error
	m.stored, err = newQueue(m.inheritance(), m.keepInStore, m.Service)
	switch _, has := os.LookupEnv("FDSTORE"); {
	case err == nil:
	case len(m.estates) > 0: // what they take up is about to be given back
	case has || !errors.Is(err, errNotKept):
		m.log.Warn("a restart will break connections", "error", err)
	default:
		m.log.Debug("a restart will break connections: the unit has no file descriptor store", "error", err)
	}
	return err
}

// keepInStore stores the end of a handover socket that is to be read, and forgets it here. When the other end is closed here
// systemd would drop it, but for FDPOLL=0.
func (m *machine) keepInStore(end int) error {
	err := m.notifier.Notify(notify.FDStore(storedName(m.generation), end), notify.FDStoreNoPoll())
	closeDescriptors([]int{end})
	if err != nil {
		return err
	}
	return m.awaitManager() // until then nothing shows
}

// awaitManager waits until the service manager has read all that it was told.
func (m *machine) awaitManager() error {
	ctx, cancel := context.WithTimeout(context.Background(), barrierTimeout)
	defer cancel()
	err := m.notifier.Barrier(ctx)
	if err != nil {
		m.log.Warn("the service manager is slow to read what it is told", "error", err)
	}
	return err
}

// obsolete returns the names in the store of what nobody has asked for in this process: listeners of an earlier configuration,
// and files that somebody else has put there.
func (m *machine) obsolete() []string {
	var names []string
	for _, b := range m.handed {
		if b.Name != controlName && !slices.ContainsFunc(m.listeners, func(l *listener) bool { return l.bound != nil && *l.bound == b }) {
			names = append(names, b.Name)
		}
	}
	for _, f := range m.table.Files() {
		if !f.Claimed && f.Name != "" && !slices.Contains(m.foreign, f.Name) && !strings.HasPrefix(f.Name, activation.HandoverName) {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// forget is told that the connections of e are all taken over. Estates of one generation have one name.
func (m *machine) forget(e *estate) {
	m.settling--
	e.settled = true
	if m.settling > 0 {
		return
	}
	for _, e := range m.estates {
		if e.name != "" && e.settled && m.notifier != nil {
			m.tell(notify.FDStoreRemove(e.name))
		}
	}
	m.estates = nil
	if m.state == Ready && (m.stored == nil || !m.stored.kept()) { // there was no room while they were there
		m.store()
	}
	m.next()
}

// leaveToStore makes the queue in the store the taker of connections, if there is one.
func (m *machine) leaveToStore() {
	if m.stored != nil && m.stored.kept() {
		m.leaveTo(m.stored)
	}
}

// tryStoreAgain makes use of room that there may be by now.
func (m *machine) tryStoreAgain() {
	err := m.openStore()
	if err == nil && !m.stored.socket.HasReader(refusal) {
		err = errNotKept
	}
	if err != nil {
		m.log.Warn("connections are told to close instead of being kept for the next process", "reason", err)
	}
	m.leaveToStore()
}

// queue returns the queue that takes connections now, nil if there is none.
func (m *machine) queue() *queue {
	q, _ := m.currentTaker().(*queue)
	return q
}

func (m *machine) flushNow() <-chan struct{} {
	if q := m.queue(); q != nil {
		return q.wake
	}
	return nil
}

func (m *machine) flushSoon() <-chan time.Time {
	if q := m.queue(); q != nil {
		return q.timer.C
	}
	return nil
}

// leave queues last what is to be handed down, once every connection is gone.
func (m *machine) leave() {
	q := m.queue()
	if q == nil {
		return
	}
	q.flush()
	m.atStep("queued")
	heirlooms, names, err := m.collect()
	if err != nil {
		m.log.Error("the next process has to do without", "error", err)
	}
	for i, h := range heirlooms {
		err := q.send(func(send func(handover.Message, ...int) error) error { return h.send(names[i], send) })
		if err != nil {
			m.log.Error("the next process has to do without", "error", err)
		}
	}
	if m.inPlace == nil {
		m.removePaths()
		_ = m.awaitManager() // it does not listen to the dead
	}
}

// removePaths removes the paths of Unix sockets that are in the store if the service ends for good. If it is to be restarted
// they stay, and so they do if that cannot be found out: the next process replaces them.
func (m *machine) removePaths() {
	isPath := func(l *listener) bool { return l.isStored() && l.bound.File != handover.FileID{} }
	if !slices.ContainsFunc(m.listeners, isPath) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), endingTimeout)
	defer cancel()
	ending, err := manager.Ending(ctx)
	if err != nil {
		m.log.Debug("cannot ask whether the service ends: its Unix socket paths stay", "error", err)
	}
	for _, l := range m.listeners {
		if ending && isPath(l) && fileOf(*l.bound) == l.bound.File {
			if err := os.Remove(l.bound.Address); err != nil {
				m.log.Warn("cannot remove the path of a socket", "error", err)
			}
		}
	}
}
