package systemd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

func stopTimeout(ctx context.Context, patience time.Duration) (Timeout, error) {
	unit := ownUnit()
	if unit == "" && os.Getenv("NOTIFY_SOCKET") == "" && os.Getenv("INVOCATION_ID") == "" {
		return variableOr(ErrNoUnit)
	}
	asked, askErr := askStopTimeout(ctx, patience)
	switch {
	case askErr == nil:
		return asked, nil
	case errors.Is(askErr, ErrNoUnit):
		return variableOr(askErr)
	}
	read, readErr := readStopTimeout(unit)
	if readErr == nil {
		return read, nil
	}
	return variableOr(fmt.Errorf("%w; %w", askErr, readErr))
}

// variableOr returns the timeout of the environment, or the error if it has
// none.
func variableOr(err error) (Timeout, error) {
	value := os.Getenv(StopTimeoutVariable)
	if value == "" {
		return Timeout{}, fmt.Errorf("%w; $%s is not set", err, StopTimeoutVariable)
	}
	usec, spanErr := unitfile.ParseSpan(value)
	if spanErr != nil {
		return Timeout{}, fmt.Errorf("%w; $%s: %w", err, StopTimeoutVariable, spanErr)
	}
	return newTimeout(usec, Environment, StopTimeoutVariable), nil
}

// newTimeout takes microseconds. 0 lifts the limit in units and in system.conf,
// as infinity does (parse_sec_fix_0 of systemd).
func newTimeout(usec uint64, source Source, detail string) Timeout {
	const most = math.MaxInt64 / uint64(time.Microsecond)
	if usec == 0 || usec > most {
		return Timeout{Infinite: true, Source: source, Detail: detail}
	}
	return Timeout{Duration: time.Duration(usec) * time.Microsecond, Source: source, Detail: detail}
}

// askStopTimeout asks at one door after the other.
func askStopTimeout(ctx context.Context, patience time.Duration) (Timeout, error) {
	doors, err := doors()
	if err != nil {
		// No reason to look no further: this process may be in a container,
		// where no systemd is to be seen.
		if !errors.Is(err, ErrUnanswered) {
			err = fmt.Errorf("%w; %w", ErrUnanswered, err)
		}
		return Timeout{}, err
	}
	failure := ErrUnanswered
	for _, door := range doors {
		usec, err := door.stopTimeout(ctx, patience)
		if err == nil {
			return newTimeout(usec, door.speaks, door.path), nil
		}
		failure = fmt.Errorf("%w; %s: %w", failure, door.path, err)
		if errors.Is(err, ErrNoUnit) {
			return Timeout{}, err
		}
	}
	return Timeout{}, failure
}

var errNoName = errors.New("neither /proc/self/cgroup nor /run/systemd/units tells the name of the unit")

// readStopTimeout reads it from the files.
func readStopTimeout(unit string) (Timeout, error) {
	if unit == "" {
		return Timeout{}, errNoName
	}
	s, err := ownPlaces("").stopTimeout(unit)
	if err != nil {
		return Timeout{}, err
	}
	return newTimeout(s.usec, UnitFile, s.path), nil
}
