package activation

import (
	"fmt"
	"io"
	"strings"
)

// want is the kind of file a method can return.
type want struct {
	what    string
	accepts func(File) bool
}

func listeners(network string) want {
	return want{article(network, "listener"), func(f File) bool { return f.Listening && (network == "" || f.Is(network)) }}
}

func packets(network string) want {
	return want{article(network, "packet socket"), func(f File) bool { return isPacket(f.Network) && (network == "" || f.Is(network)) }}
}

// connections takes stream sockets without a peer as well: that is what a
// connection looks like once the other end has reset it.
func connections() want {
	return want{"a connection", func(f File) bool {
		return !f.Listening && (isStream(f.Network) || isPacket(f.Network) && f.Peer != "")
	}}
}

func plainFiles() want {
	return want{"a plain file", func(f File) bool { return !f.Listening && !isNet(f.Network) }}
}

func article(network, what string) string {
	return strings.TrimSuffix("a "+network, " ") + " " + what
}

// fittingLocked returns the unclaimed files of that name that w accepts, at
// least one.
func (t *Table) fittingLocked(name string, w want) ([]*entry, error) {
	var fit []*entry
	var others []string
	var named, closed bool
	for _, e := range t.entries {
		if e.Name != name {
			continue
		}
		named = true
		closed = closed || e.closed
		switch {
		case e.Claimed || e.closed:
		case w.accepts(e.File):
			fit = append(fit, e)
		default:
			others = append(others, e.String())
		}
	}
	switch {
	case len(fit) > 0:
		return fit, nil
	case len(others) > 0:
		return nil, fmt.Errorf("activation: %s is not %s: %w", strings.Join(others, ", "), w.what, ErrWrongType)
	case closed:
		return nil, closedUnclaimed(name)
	case named:
		return nil, allClaimed(name)
	}
	return nil, t.notHanded(name)
}

func (t *Table) claimFirst(name string, w want) (*entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fit, err := t.fittingLocked(name, w)
	if err != nil {
		return nil, err
	}
	fit[0].Claimed = true
	return fit[0], nil
}

func (t *Table) claimOne(name string, w want, network, address string) (*entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fit, err := t.fittingLocked(name, w)
	if err != nil {
		return nil, err
	}
	e, err := pick(fit, network, address)
	if err != nil {
		return nil, err
	}
	e.Claimed = true
	return e, nil
}

// release puts a claimed file back that was not given away after all.
func (t *Table) release(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.Claimed = false
}

func (t *Table) takeAll(name string, w want) ([]*entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fit, err := t.fittingLocked(name, w)
	for _, e := range fit {
		e.Claimed = true
	}
	return fit, err
}

// claimAll claims every file of that name that w accepts and converts each. If
// one cannot be converted, all are closed.
func claimAll[T io.Closer](t *Table, name string, w want, convert func(*entry) (T, error)) ([]T, error) {
	fit, err := t.takeAll(name, w)
	if err != nil {
		return nil, err
	}
	var all []T
	var failed error
	for _, e := range fit {
		if failed != nil {
			_ = e.close()
			continue
		}
		one, err := convert(e)
		if err != nil {
			failed = err
			continue
		}
		all = append(all, one)
	}
	if failed != nil {
		closeEach(all)
		return nil, failed
	}
	return all, nil
}

func closeEach[T io.Closer](all []T) {
	for _, one := range all {
		_ = one.Close()
	}
}
