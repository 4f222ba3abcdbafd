package handover

import "fmt"

const (
	// maxInline is how many bytes of States travel in the packet itself.
	// More of them would fill the queue of a socket that nobody reads yet,
	// which holds some 200 KiB (net.core.wmem_max).
	maxInline = 4 << 10
	// MaxStates is how many bytes of States a Message may carry.
	MaxStates = 256 << 20
)

func size(states [][]byte) (n int) {
	for _, s := range states {
		n += len(s)
	}
	return n
}

// pack moves States into a memfd, which the caller owns.
func pack(m *Message) (int, error) {
	if n := size(m.States); n > MaxStates {
		return -1, fmt.Errorf("%d bytes of state, more than %d", n, MaxStates)
	}
	memfd, err := newMemfd("heirloom-"+string(m.Type), m.States)
	if err != nil {
		return -1, err
	}
	m.Sizes = make([]int, len(m.States))
	for i, s := range m.States {
		m.Sizes[i] = len(s)
	}
	m.States = nil
	return memfd, nil
}

// unpack fetches States from a memfd, which stays the caller's.
func unpack(m *Message, memfd int) error {
	total := 0
	for _, n := range m.Sizes {
		if n < 0 || n > MaxStates-total {
			return fmt.Errorf("sizes %v of its states", m.Sizes)
		}
		total += n
	}
	all := make([]byte, total)
	if err := readMemfd(memfd, all); err != nil {
		return err
	}
	m.States = make([][]byte, len(m.Sizes))
	for i, n := range m.Sizes {
		m.States[i], all = all[:n:n], all[n:]
	}
	m.Sizes = nil
	return nil
}
