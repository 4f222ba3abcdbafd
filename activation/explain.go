package activation

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// Explain returns err, of a socket that was bound because none of that name was
// handed over, with what was handed instead and how that gets the name. An
// operator who forgot FileDescriptorName= would else read no more than that the
// address is in use: by the socket that was made for the daemon. [Table.Listen]
// and its kin do it themselves.
//
// The result matches what err matches. It is nil if err is.
func (t *Table) Explain(name, network, address string, err error) error {
	if err == nil {
		return nil
	}
	where := ""
	if t.has(name) { // an earlier generation's, bound elsewhere
		where = fmt.Sprintf(" for %s %q", network, address)
	}
	text := fmt.Sprintf("no socket named %q%s was handed over%s", name, where, t.instead())
	if e := t.inTheWay(network, address, err); e != nil && e.Name != name {
		text += fmt.Sprintf("; %q has this address: name it by %s", e.Name, naming(e.Name, name))
	}
	return fmt.Errorf("%s: %w", text, err)
}

func (t *Table) notHanded(name string) error {
	return fmt.Errorf("activation: no file named %q was handed to this process%s: %w", name, t.instead(), fs.ErrNotExist)
}

// instead lists what was handed, ready to follow a word; "" if it is nothing,
// or nothing but the library's own.
func (t *Table) instead() string {
	const most = 8
	var files []string
	for _, e := range t.entries {
		switch {
		case strings.HasPrefix(e.Name, HandoverName):
		case len(files) < most:
			files = append(files, e.String())
		case len(files) == most:
			files = append(files, "and more")
		}
	}
	if len(files) == 0 {
		return ""
	}
	return ", only " + strings.Join(files, ", ")
}

// inTheWay finds the socket that keeps an address from being bound, if it was
// handed to this process.
func (t *Table) inTheWay(network, address string, err error) *entry {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return nil
	}
	base, _ := splitNetwork(network)
	compare, err := comparison(network, address)
	if err != nil {
		return nil
	}
	for _, e := range t.entries {
		if e.Network == base && compare(e.Address) != noMatch {
			return e
		}
	}
	return nil
}

// naming says how a socket that is called something gets another name.
func naming(called, name string) string {
	setting := "FileDescriptorName=" + name
	switch {
	case called == unnamed: // systemd always gives a name
		return "--fdname=" + name + " of systemd-socket-activate, or " + setting + " in a socket unit"
	case strings.HasSuffix(called, ".socket"): // the default
		return setting + " in " + called
	default:
		return setting + " in its socket unit"
	}
}
