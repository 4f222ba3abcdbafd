package activation

import (
	"errors"
	"fmt"
	"os"
)

// Errors to test for with errors.Is. Besides them, a name that was never handed
// matches [fs.ErrNotExist], a file that Table.Close closed matches
// [os.ErrClosed], and a failed system call its syscall.Errno.
var (
	// ErrMalformed says that a variable or an argument does not have the form
	// it must have. The message names it and quotes its value.
	ErrMalformed = errors.New("malformed")

	// ErrWrongType says that a file of that name is there, but cannot be what
	// was asked for. The message says what it is.
	ErrWrongType = errors.New("wrong type")

	// ErrAmbiguous says that several files of that name fit and the address
	// asked for does not pick one. The message lists their addresses.
	ErrAmbiguous = errors.New("ambiguous")

	// ErrClaimed says that all files of that name were claimed before.
	ErrClaimed = errors.New("already claimed")
)

func malformed(what, value, why string) error {
	return fmt.Errorf("activation: %s=%q: %s: %w", what, clip(value), why, ErrMalformed)
}

// clip keeps a hostile environment from filling a log.
func clip(value string) string {
	const most = 200
	if len(value) > most {
		return value[:most] + "..."
	}
	return value
}

func allClaimed(name string) error {
	return fmt.Errorf("activation: every file named %q: %w", name, ErrClaimed)
}

func closedUnclaimed(name string) error {
	return fmt.Errorf("activation: the files named %q were closed unclaimed: %w", name, os.ErrClosed)
}
