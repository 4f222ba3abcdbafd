package handover

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/heirloom-go/heirloom/internal/printable"
)

// What a message may take.
const (
	// maxPacket is what every reader of protocol 2 has room for. It would
	// get a part of a larger packet. The kernel lets a packet have
	// net.core.wmem_default, which is 208 KiB.
	maxPacket = 128 << 10
	// maxReason is for each text that says why something failed.
	maxReason = 4 << 10
	// maxJobs is for the names of all jobs of a Report. JSON writes a byte
	// as up to six, and even so they fit.
	maxJobs = 16 << 10
)

// ErrTooLarge is matched by the error for a message that does not fit into a
// packet. Nothing was sent.
var ErrTooLarge = errors.New("too large for a handover message")

// cutJobs shortens the list of jobs of a report, which stays the caller's, so
// that it never keeps one from being sent.
func cutJobs(r *Report) *Report {
	if r == nil {
		return nil
	}
	short := *r
	short.Jobs = cutList(r.Jobs, maxJobs)
	return &short
}

// cutList returns the first names, with a last one that says how many more
// there are if together they exceed limit.
func cutList(names []string, limit int) []string {
	for i, name := range names {
		if limit -= len(name) + len(`"",`); limit >= 0 {
			continue
		}
		if i == 0 && len(names) == 1 {
			return []string{printable.Clip(name, maxReason)}
		}
		return append(slices.Clone(names[:i]), fmt.Sprintf("and %d more", len(names)-i))
	}
	return names
}

// tooLarge says of a message that does not fit what takes the room.
func (m Message) tooLarge(packet []byte) error {
	type part struct {
		name string
		size int
	}
	parts := []part{{"the name", len(m.Name)}}
	for name, list := range map[string]any{
		fmt.Sprintf("the list of %d bound listeners", len(m.Bound)):        m.Bound,
		fmt.Sprintf("the list of %d listeners of HTTP", len(m.Listeners)):  m.Listeners,
		fmt.Sprintf("the list of %d listeners of streams", len(m.Streams)): m.Streams,
		fmt.Sprintf("the list of %d listeners of TLS", len(m.Sessions)):    m.Sessions,
		fmt.Sprintf("the list of %d secure streams", len(m.SecureStreams)): m.SecureStreams,
		fmt.Sprintf("the list of the sizes of %d states", len(m.Sizes)):    m.Sizes,
		fmt.Sprintf("the address of the listener %.40q", m.Listener):       m.Address,
		"the name of the listener":                                         m.Listener + m.SecureStream,
	} {
		encoded, _ := json.Marshal(list) // as it was just now
		parts = append(parts, part{name, len(encoded)})
	}
	largest := slices.MaxFunc(parts, func(a, b part) int { return cmp.Compare(a.size, b.size) })
	return fmt.Errorf("%w: it has %d bytes of at most %d, and %s takes %d", ErrTooLarge, len(packet), maxPacket, largest.name, largest.size)
}
