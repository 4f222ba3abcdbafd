package ledger

import (
	"time"

	"golang.org/x/sys/unix"
)

func unmap(p page) { _ = unix.Munmap(p) }

// StayYoung has the process be one that dies young, however slow the machine is.
// It is called before Adopt.
func (l *Ledger) StayYoung() { l.youth = time.Hour }

// Counts returns what the slots of a page say of connections that were at rest.
func Counts(fd int) (counts []uint64, err error) {
	p, err := openPage(fd)
	if err != nil {
		return nil, err
	}
	defer unmap(p)
	if err := p.check(); err != nil {
		return nil, err
	}
	for slot := uint32(1); uint64(slot) <= p.field(fieldHighest).Load(); slot++ {
		if w := word(p.slot(slot).Load()); w.state() == rest {
			counts = append(counts, w.count())
		}
	}
	return counts, nil
}
