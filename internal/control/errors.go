package control

import "errors"

// Errors of a [Client]. ErrReload and ErrStopping are also those of the service
// that answers: package lifecycle has them all under the same names, and says
// what they mean.
var (
	ErrReload       = errors.New("reload failed")
	ErrStopping     = errors.New("the service is stopping")
	ErrNotRunning   = errors.New("the service is not running")
	ErrSeveral      = errors.New("more than one such service runs")
	ErrUnresponsive = errors.New("the service does not answer")
)
