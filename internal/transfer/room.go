package transfer

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// minBatch is how many connections may go in one message however few
// descriptors there may be.
const minBatch = 16

// maxBatch returns how many connections may go in one message. The kernel
// counts descriptors in flight against RLIMIT_NOFILE, and the receiver of a
// message needs room for all of it at once.
func maxBatch() int {
	if limit := fdutil.Limit(); limit > 0 {
		return min(max(limit/8, minBatch), handover.MaxDescriptors)
	}
	return handover.MaxDescriptors
}

// A batchSize is how many connections go in the next message: fewer than at
// most, once so many could not be sent.
type batchSize struct{ now, most int }

func newBatchSize() batchSize {
	most := maxBatch()
	return batchSize{most, most}
}

// grow is called when a message was sent.
func (b *batchSize) grow() { b.now = min(2*b.now, b.most) }

// shrink is called when a message of so many, more than one, could not be sent.
func (b *batchSize) shrink(sent int) { b.now = sent / 2 }

// spareDescriptors is how many descriptors connections that arrive leave free:
// for the control socket and the next reload.
const spareDescriptors = 16

// ExplainShortage says of a lack of descriptors what it means, and what helps.
func ExplainShortage(err error) error {
	if !errors.Is(err, syscall.EMFILE) {
		return err
	}
	return fmt.Errorf("%w: RLIMIT_NOFILE is %d, and a reload needs some %d descriptors besides those of connections; "+
		"raise LimitNOFILE= of the unit, or let connections end", err, fdutil.Limit(), spareDescriptors)
}

// keepSpare closes the last of fds, if need be, so that some descriptors are
// left.
func keepSpare(conn *handover.Conn, fds []int) []int {
	lacking := spareDescriptors
	_ = conn.Control(func(fd int) { lacking -= fdutil.Free(fd, spareDescriptors) })
	kept := max(0, len(fds)-lacking)
	fdutil.CloseAll(fds[kept:])
	return fds[:kept]
}
