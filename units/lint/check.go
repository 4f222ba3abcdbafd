package lint

import (
	"cmp"
	"errors"
	"time"

	"github.com/heirloom-go/heirloom/internal/drainbudget"
	"github.com/heirloom-go/heirloom/units"
)

// Options say for which system units are linted. The zero value is for the
// system's manager of this machine, and systemd 252.
type Options struct {
	// Root is the folder below which units are looked up by name: that of an
	// image, or of a package that was unpacked. Empty is this machine's.
	// Arguments that are paths are not below it.
	Root string

	// Scope says in which manager's folders units are looked up, and what it
	// can do. The default is the system's.
	Scope units.Scope

	// Systemd is the oldest version that the units are for, by default 252.
	// That version ignores settings that it does not know.
	Systemd int

	// Daemon is what is known of the daemon.
	Daemon Daemon

	// Only has the IDs of the rules to apply. The default is all.
	Only []string

	drafts map[string]string // drop-ins to come, by unit
}

// A Daemon has facts about a daemon that are not in its units. The zero value
// of a field means unknown, and rules that need it find nothing.
type Daemon struct {
	// Drain is how long the longest request takes that must not be aborted
	// when the process exits.
	Drain time.Duration

	// StopExtension is its lifecycle.Options.StopExtension: the time that it
	// asks for beyond TimeoutStopSec=.
	StopExtension time.Duration

	// ReloadTimeout is its lifecycle.Options.ReloadTimeout. Zero is that one's
	// default, 10 seconds.
	ReloadTimeout time.Duration

	// Memory is how many bytes one process of it needs at most, and Tasks how
	// many threads. Two generations run at a time.
	Memory uint64
	Tasks  int

	// Sockets are the names that it asks for, and does not bind itself.
	Sockets []string

	// ReloadArgs are the arguments with which its program asks it to reload.
	// The default is "reload".
	ReloadArgs []string
}

// Describes returns what a description says of the daemon that it describes.
func Describes(s units.Service) Daemon {
	const defaultStopTimeout = 90 * time.Second
	stop := cmp.Or(s.StopTimeout, defaultStopTimeout)
	d := Daemon{
		Drain:         stop - drainbudget.Margin(stop),
		ReloadTimeout: s.ReloadTimeout,
		Memory:        s.Memory,
		Tasks:         s.Tasks,
		ReloadArgs:    s.ReloadArgs,
	}
	for _, socket := range s.Sockets {
		d.Sockets = append(d.Sockets, socket.Name)
	}
	return d
}

// Check lints units. Each argument is a path, if it has a slash or, without a
// Root, a file of that name exists, or the name of a unit, which is looked up
// as its manager does; ".service" may be left out.
//
// A service is linted together with its sockets, and a socket with its service.
// They are those of the arguments, those in the same folder, and, if the unit
// is that of a manager, the manager's: all that Sockets= or Service= name, and
// the one with the same name.
//
// The findings are sorted by file, line and rule. The error joins one for each
// argument that cannot be linted, which names it, and is returned beside the
// findings of the others: it matches io/fs.ErrNotExist if there is no such
// unit, [ErrMasked] if it is masked, and [ErrKind] if it is of another kind
// than .service and .socket. It matches [ErrUnknownRule] for an ID in Only that
// no rule has.
func Check(options Options, args ...string) ([]Finding, error) {
	findings, _, err := look(options, args)
	return findings, err
}

// look also returns the services and sockets that it found.
func look(options Options, args []string) ([]Finding, []*subject, error) {
	options.Systemd = cmp.Or(options.Systemd, units.Oldest)
	l := newLoader(options)
	errs := append(options.unknownRules(), l.takeAll(args)...)
	known := knownSettings()
	var findings []Finding
	var subjects []*subject
	for _, group := range l.groups() {
		findings = append(findings, inspect(options, known, group)...)
		subjects = append(subjects, group.subjects()...)
	}
	return sorted(findings), subjects, errors.Join(errs...)
}

func (o Options) unknownRules() []error {
	var errs []error
	for _, id := range o.Only {
		if _, err := Explain(id); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
