package fdstore

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/transfer"
	"github.com/heirloom-go/heirloom/notify"
)

// A Manager is the service manager, which has the store.
type Manager interface {
	// Tell logs an error rather than returning it.
	Tell(states ...notify.State)
	Notify(states ...notify.State) error
	// Await waits until the service manager has read all that it was told.
	Await() error
}

// A Config is what a Store needs to know of the service.
type Config struct {
	Manager    Manager
	Generation int
	Hello      handover.Message // the first message in each handover socket
	Owner      transfer.Owner   // of connections that cannot be queued
	Log        hclog.Logger
}

// A Store is the file descriptor store of the unit. It belongs to the goroutine
// that owns the state of the service.
type Store struct {
	Config
	found    *Found // with the Entries that are still in the store
	pending  *transfer.Queue
	opened   time.Time // when pending was
	borrowed bool      // pending was stored by the generation before
	crowded  bool      // Entries may have left no room for pending, unseen
	unsure   bool      // so may what the generation before has in the store, or pending is not this process's to store
	unread   bool      // the Manager had not read of pending when it was needed first
}

// errUnread says that the Manager takes too long to read of a handover socket.
var errUnread = errors.New("the service manager is slow")

// Doubt is for how long a refusal may not have shown yet.
const Doubt = time.Second

// New makes a Store, in which earlier generations have left what was found.
func New(c Config, found *Found) *Store { return &Store{Config: c, found: found} }

// A Socket is one that is to be stored, by that name.
type Socket struct {
	Name string
	Conn syscall.Conn
	// Packets says that the socket has no connections. An ICMP error must not
	// remove it (IP_RECVERR in ip(7)).
	Packets bool
}

// Save puts into the store what a process needs that comes after this one by a
// restart or a crash, and takes out what this one no longer wants: what has a
// name of obsolete, and what the generation before has in it.
//
// That is a handover socket, whose queue is empty yet, and sockets. systemd
// recognises a socket that it has already, by whatever descriptor (kcmp(2)), so
// nothing is stored twice. Save reports whether there is room for it.
func (s *Store) Save(sockets []Socket, obsolete []string) bool {
	for _, name := range obsolete {
		s.Manager.Tell(notify.FDStoreRemove(name))
	}
	if s.crowded {
		s.Manager.Tell(notify.FDStoreRemove(Name(s.Generation)))
	}
	room, known := roomFor(len(sockets))
	tight := known && room < 2
	if tight {
		s.removeOlder()
	}
	old := len(s.found.Entries)
	s.crowded = old > 0 && (room <= old || !known)
	s.unsure = s.borrowed || s.Generation > 1 && !known
	err := s.open()
	if errors.Is(err, transfer.ErrNotKept) && s.removeOlder() {
		// It may be refused for another reason: systemd takes nothing from a
		// process that it does not follow yet.
		s.unsure = true
		err = s.open()
	}
	if errors.Is(err, transfer.ErrNotKept) {
		return false
	}
	for _, socket := range sockets {
		states := []notify.State{notify.FDStoreConn(socket.Name, socket.Conn)}
		if socket.Packets {
			states = append(states, notify.FDStoreNoPoll())
		}
		s.Manager.Tell(states...)
	}
	s.removeOlder()
	return true
}

// roomFor returns for how many handover sockets there is room beside so many
// sockets, as far as systemd tells: 254 and newer do.
func roomFor(sockets int) (room int, known bool) {
	all, err := strconv.Atoi(os.Getenv("FDSTORE"))
	return all - sockets, err == nil
}

// KnowsRoom reports whether systemd has told how much the store can have.
func KnowsRoom() bool {
	_, known := roomFor(0)
	return known
}

// removeOlder removes what the generation before has in the store, unless its
// connections are still to be taken out. It reports whether there was anything
// to remove.
func (s *Store) removeOlder() bool {
	name := Name(s.Generation - 1)
	isOlder := func(e *Entry) bool { return e.name == name }
	if s.Generation == 1 || slices.ContainsFunc(s.found.Entries, isOlder) || slices.Contains(s.found.foreign, name) {
		return false
	}
	s.Manager.Tell(notify.FDStoreRemove(name))
	return true
}

// open stores a handover socket, unless one is borrowed. The error matches
// transfer.ErrNotKept if it was refused.
//
// The store does not answer. But when it has refused the end to be read, nobody
// has that, which shows on the other end: not at once, since systemd closes it
// in the background. So this is certain only later, when it matters.
func (s *Store) open() error {
	if s.borrowed && s.pending.IsKept() {
		return nil
	}
	s.Close()
	s.unread, s.borrowed = false, false
	opening := true
	var err error
	s.pending, err = transfer.NewQueue(s.Hello, func(end int) error {
		err := s.keepOwn(end)
		if opening && errors.Is(err, errUnread) { // it may have room, and is asked when that matters
			s.unread, err = true, nil
		}
		return err
	}, s.Owner, s.Log)
	opening = false
	s.opened = time.Now()
	switch _, has := os.LookupEnv("FDSTORE"); {
	case err == nil:
	case len(s.found.Entries) > 0: // what they take up is about to be given back
	case has || !errors.Is(err, transfer.ErrNotKept):
		s.Log.Warn("a restart will break connections", "error", err)
	default:
		s.Log.Debug("a restart will break connections: the unit has no file descriptor store", "error", err)
	}
	return err
}

// keepOwn is keep for this generation.
func (s *Store) keepOwn(end int) error { return s.keep(end, s.Generation) }

// keep stores the end of a generation's handover socket that is to be read, and
// forgets it here. When the other end is closed here systemd would drop it, but
// for FDPOLL=0.
func (s *Store) keep(end, generation int) error {
	err := s.Manager.Notify(notify.FDStore(Name(generation), end), notify.FDStoreNoPoll())
	fdutil.CloseAll([]int{end})
	if err != nil {
		return err
	}
	if err := s.Manager.Await(); err != nil { // until then nothing shows
		return fmt.Errorf("%w: %w", errUnread, err)
	}
	return nil
}

// Queue returns the queue for the next process, nil if the store does not have
// it.
func (s *Store) Queue() *transfer.Queue {
	if s.pending == nil || !s.pending.IsKept() {
		return nil
	}
	return s.pending
}

// NeededQueue is Queue for connections that are about to go there. Where there
// may have been no room, and soon after it was stored, it waits for a refusal
// that may be on its way.
func (s *Store) NeededQueue() *transfer.Queue {
	q := s.Queue()
	if q != nil && s.unread {
		if s.Manager.Await() != nil {
			return nil
		}
		s.unread, s.unsure, s.opened = false, true, time.Now()
	}
	if q != nil && (s.crowded || s.unsure) && time.Since(s.opened) < Doubt && q.WasRefused() {
		return nil
	}
	return q
}

// IsExpected reports whether there is a store, as far as that is known.
func (s *Store) IsExpected() bool {
	_, has := os.LookupEnv("FDSTORE")
	return has || s.pending != nil || s.crowded // by what it has
}

// TryAgain makes use of room that there may be by now. The queue is needed at
// once, so it waits for a refusal.
func (s *Store) TryAgain() {
	err := s.open()
	switch {
	case err != nil:
	case s.unread: // nobody may ever read what would be queued
		s.Close()
		s.pending, err = nil, errUnread
	case s.pending.WasRefused():
		err = transfer.ErrNotKept
	}
	if err != nil {
		s.Log.Warn("connections are told to close instead of being kept for the next process", "reason", err)
	}
}

// Close forgets the queue. What is in the store stays there.
func (s *Store) Close() {
	if s.pending != nil {
		s.pending.Close()
	}
}

// Taken says that the connections of e are all taken over. Entries of one
// generation have one name, so they are removed together: see Forget.
func (s *Store) Taken(e *Entry) { e.taken = true }

// Forget removes the Entries from the store that are taken over.
func (s *Store) Forget() {
	for _, e := range s.found.Entries {
		if e.name != "" && e.taken {
			s.Manager.Tell(notify.FDStoreRemove(e.name))
		}
	}
	s.found.Entries = nil
}

// IsCertain reports whether the store has the queue. It may have refused that
// for want of room while the Entries were there, which does not show at once:
// once they are gone, Save again.
func (s *Store) IsCertain() bool { return !s.crowded && s.Queue() != nil }

// Unclaimed returns the names in the store that nobody has asked for in this
// process: files that somebody else has put there.
func (s *Store) Unclaimed(files Files) []string {
	var names []string
	for _, f := range files.Files() {
		if !f.Claimed && f.Name != "" && !slices.Contains(s.found.foreign, f.Name) && !strings.HasPrefix(f.Name, activation.HandoverName) {
			names = append(names, f.Name)
		}
	}
	return names
}
