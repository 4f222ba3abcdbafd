// Package stderrlog is the log of a daemon that has not said where to log: its
// standard error.
//
// Where systemd's journal reads that, each line begins with its priority, as
// sd-daemon(3) has it, and has no time, since the journal has both. So
// `journalctl -p warning` finds what it should.
package stderrlog

import (
	"bytes"
	"io"
	"os"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/hashicorp/go-hclog"
)

// The priorities of sd-daemon(3).
const (
	priorityError   = "<3>"
	priorityWarning = "<4>"
	priorityInfo    = "<6>"
	priorityDebug   = "<7>"
)

// New returns a log on standard error of level Info, whose lines have the name.
func New(name string) hclog.Logger { return newLogger(name, os.Stderr, isJournal()) }

// Error writes to standard error why a program fails, after its name.
func Error(name string, err error) { writeError(name, err, os.Stderr, isJournal()) }

// isJournal reports whether the journal reads standard error. JOURNAL_STREAM
// alone does not say so: a shell that redirects it leaves the variable alone.
func isJournal() bool {
	is, err := journal.StderrIsJournalStream()
	return is && err == nil
}

func newLogger(name string, out io.Writer, isJournal bool) hclog.Logger {
	if isJournal {
		out = prefixed{out}
	}
	return hclog.New(&hclog.LoggerOptions{Name: name, Output: out, DisableTime: isJournal})
}

func writeError(name string, err error, out io.Writer, isJournal bool) {
	text := []byte(name + ": " + err.Error() + "\n")
	if isJournal {
		text = prefix(priorityError, text)
	}
	_, _ = out.Write(text) // nobody is left to be told of a failure
}

// A prefixed output has the priority before each line.
type prefixed struct{ out io.Writer }

var _ hclog.LevelWriter = prefixed{}

func (p prefixed) Write(text []byte) (int, error) { return p.LevelWrite(hclog.Info, text) }

// LevelWrite writes the lines of one entry of the log at once.
func (p prefixed) LevelWrite(level hclog.Level, text []byte) (int, error) {
	if _, err := p.out.Write(prefix(priorityOf(level), text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

func priorityOf(level hclog.Level) string {
	switch level {
	case hclog.Error:
		return priorityError
	case hclog.Warn:
		return priorityWarning
	case hclog.Debug, hclog.Trace:
		return priorityDebug
	default:
		return priorityInfo
	}
}

// prefix puts the priority before each line. The journal makes an entry of
// each, and one without would have the unit's SyslogLevel=.
func prefix(priority string, text []byte) []byte {
	var all []byte
	for line := range bytes.Lines(text) {
		all = append(append(all, priority...), line...)
	}
	return all
}
