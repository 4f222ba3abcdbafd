package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func ending(ctx context.Context) (bool, error) {
	doors, err := doors()
	if err != nil {
		return false, err
	}
	failure := ErrUnanswered
	for _, door := range doors {
		ends, err := door.ends(ctx)
		if err == nil {
			return ends, nil
		}
		failure = fmt.Errorf("%w; %s: %w", failure, door.path, err)
	}
	return false, failure
}

// A door is a Unix socket by which a manager can be reached.
type door struct {
	path   string
	speaks Source
	bus    bool // rather than the manager itself
}

// doors returns those of the manager of this process, best first: those that
// know every user come before the bus. But for the first they are the same as
// systemctl's (bus_connect_system_systemd and bus_connect_user_systemd of
// systemd), but that no address is taken from $DBUS_SESSION_BUS_ADDRESS or
// $DBUS_SYSTEM_BUS_ADDRESS: these may lead to another bus, with no manager on
// it, or to a command to be started.
func doors() ([]door, error) {
	if ofUser() {
		return userDoors()
	}
	// sd_booted(3).
	if _, err := os.Lstat("/run/systemd/system"); err != nil {
		return nil, fmt.Errorf("systemd does not run here: %w: %w", errors.ErrUnsupported, err)
	}
	varlink := door{path: "/run/systemd/io.systemd.Manager", speaks: Varlink}
	bus := door{path: "/run/dbus/system_bus_socket", speaks: DBus, bus: true}
	if os.Geteuid() != 0 {
		return []door{varlink, bus}, nil
	}
	return []door{varlink, {path: "/run/systemd/private", speaks: DBus}, bus}, nil
}

// ofUser reports whether the manager of this process is a user's. See
// systemd.exec(5): the variable is set for processes of the user's manager. The
// system's manager knows these as part of user@.service.
func ofUser() bool { return os.Getenv("MANAGERPID") != "" }

func userDoors() ([]door, error) {
	run := os.Getenv("XDG_RUNTIME_DIR")
	if run == "" {
		return nil, fmt.Errorf("%w; $MANAGERPID tells of a user manager, but $XDG_RUNTIME_DIR not where it is", ErrUnanswered)
	}
	return []door{
		{path: filepath.Join(run, "systemd/io.systemd.Manager"), speaks: Varlink},
		{path: filepath.Join(run, "systemd/private"), speaks: DBus},
		{path: filepath.Join(run, "bus"), speaks: DBus, bus: true},
	}, nil
}

func (d door) ends(ctx context.Context) (bool, error) {
	if d.speaks == Varlink {
		return ask(ctx, d, (*connection).varlinkEnds)
	}
	return ask(ctx, d, (*connection).dbusEnds)
}

// stopTimeout returns microseconds.
func (d door) stopTimeout(ctx context.Context, patience time.Duration) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if d.speaks == Varlink {
		return ask(ctx, d, (*connection).varlinkStopTimeout)
	}
	return ask(ctx, d, (*connection).dbusStopTimeout)
}

// ask has the question asked on a connection of its own.
func ask[T any](ctx context.Context, d door, question func(*connection) (T, error)) (answer T, err error) {
	conn, err := dial(ctx, d)
	if err == nil {
		defer conn.close()
		answer, err = question(conn)
	}
	// Which fails first, the wait or the connection that breaks at its end, is
	// chance.
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return answer, err
}
