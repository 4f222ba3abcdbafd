package fdstore

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/ledger"
	"github.com/heirloom-go/heirloom/notify"
)

// LedgerName is the name in the store of the descriptors of the ledger. There
// is one ledger at a time: a process removes its own before the next one stores
// another.
const LedgerName = activation.HandoverName + "-ledger"

// ledgerSize is how many descriptors a ledger has.
const ledgerSize = 3

// LedgerFiles are those that this process was started with, as Files are.
type LedgerFiles interface {
	Conns(name string) ([]net.Conn, error)
	OpenFile(name string) (*os.File, error)
}

// FindLedger claims the ledger of a process that has died, among files. It
// returns nil if there is none that can be read, and reports whether there is
// anything in the store by that name.
func FindLedger(files LedgerFiles, log hclog.Logger) (l *ledger.Ledger, stored bool) {
	page, err := files.OpenFile(LedgerName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	var f ledger.Files
	if err == nil {
		f.Page, err = fdutil.Duplicate(page)
		_ = page.Close()
	}
	if err == nil {
		f.Read, f.Write, err = claimQueue(files)
		if err != nil {
			fdutil.CloseAll([]int{f.Page})
		}
	}
	if err == nil {
		l, err = ledger.Open(f)
	}
	if err != nil {
		log.Warn("cannot read which connections an earlier process had: they are closed", "file", LedgerName, "error", err)
		return nil, true
	}
	return l, true
}

// claimQueue returns the ends of the ledger's queue, which the caller owns.
func claimQueue(files LedgerFiles) (read, write int, err error) {
	conns, err := files.Conns(LedgerName)
	if err != nil {
		return -1, -1, err
	}
	defer closeAll(conns)
	if len(conns) != 2 {
		return -1, -1, fmt.Errorf("%w: %d ends of a queue", ledger.ErrMalformed, len(conns))
	}
	if read, err = fdutil.Duplicate(conns[0]); err != nil {
		return -1, -1, err
	}
	if write, err = fdutil.Duplicate(conns[1]); err != nil {
		fdutil.CloseAll([]int{read})
		return -1, -1, err
	}
	return read, write, nil
}

func closeAll(conns []net.Conn) {
	for _, nc := range conns {
		_ = nc.Close()
	}
}

// ErrNoStore is matched by the error for a ledger that there is no place for.
var ErrNoStore = errors.New("the unit has no file descriptor store (FileDescriptorStoreMax=)")

// HasRoomForLedger returns an error if there is no room for a ledger beside so
// many sockets and two handover sockets, as far as that is known. The error
// matches ErrNoStore if there is no store at all, or no room there for this
// generation's handover socket. Earlier generations may have left more than one,
// and no room while these are there: see [Keeping.BeginAgain].
func (s *Store) HasRoomForLedger(sockets int) error {
	if !s.IsExpected() || s.Queue() == nil {
		return ErrNoStore
	}
	if room, known := roomFor(sockets); known && room < 2+ledgerSize {
		return fmt.Errorf("FileDescriptorStoreMax=%s has no room for %d more", os.Getenv("FDSTORE"), ledgerSize)
	}
	return nil
}

// CheckRoom returns an error if a store of so many descriptors cannot have all of
// a ledger beside so many sockets and a handover socket. systemd does not say
// what it has refused. Descriptors that the program itself has stored are not
// known, and not counted.
func CheckRoom(most, sockets int) error {
	if most >= sockets+1+ledgerSize {
		return nil
	}
	return fmt.Errorf("FileDescriptorStoreMax=%d has no room for all that is to be stored", most)
}

// AddLedger stores the descriptors of l in place of those that an earlier
// process has left.
func (s *Store) AddLedger(l *ledger.Ledger) error {
	s.Manager.Tell(notify.FDStoreRemove(LedgerName))
	return s.CompleteLedger(l)
}

// CompleteLedger stores those of the descriptors of l that AddLedger has found
// no room for. systemd recognises the others, as it does with Save.
func (s *Store) CompleteLedger(l *ledger.Ledger) error {
	f := l.Files()
	return s.Manager.Notify(notify.FDStore(LedgerName, f.Page, f.Read, f.Write), notify.FDStoreNoPoll())
}
