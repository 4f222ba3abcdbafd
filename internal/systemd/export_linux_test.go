package systemd

import (
	"context"
	"time"
)

// Patiently is StopTimeout that gives a busy machine's manager its time.
func Patiently(ctx context.Context) (Timeout, error) { return stopTimeout(ctx, 5*time.Minute) }

// Patience is how long StopTimeout waits at most.
const Patience = 3 * patience

// Read is the way UnitFile alone.
func Read() (Timeout, error) { return readStopTimeout(ownUnit()) }

// ReadBelow reads the files of the system's manager, or of the user's, from a
// folder instead of "/".
func ReadBelow(root, unit string) (Timeout, error) {
	s, err := ownPlaces(root).stopTimeout(unit)
	return newTimeout(s.usec, UnitFile, s.path), err
}

// StoreMaxBelow does the same with FileDescriptorStoreMax=.
func StoreMaxBelow(root, unit string) (int, error) { return ownPlaces(root).storeMax(unit) }

var (
	UnitOfCgroups = unitOfCgroups
	OwnUnit       = ownUnit
	DecodeTimeout = decodeTimeout
)

// decodeTimeout reads an answer of io.systemd.Unit.List.
func decodeTimeout(text []byte) (uint64, error) {
	var unit described
	if err := decodeVarlink(text, &unit); err != nil {
		return 0, err
	}
	return unit.stopTimeout()
}
