package tlsmove

import (
	"crypto/fips140"
	"errors"
	"runtime"

	"github.com/hashicorp/go-hclog"
)

var errFIPS = errors.New("in FIPS 140 mode keys do not leave the process")

// Usable returns why no connection of this process can move, nil if they can.
func Usable() error {
	if fips140.Enabled() {
		return errFIPS
	}
	return Rehearse()
}

// Warn logs that connections of the listener of that name cannot move.
func Warn(log hclog.Logger, name string, reason error) {
	log.Warn("connections of TLS cannot move: clients will be told to close them", "name", name,
		"go", runtime.Version(), "reason", reason)
}
