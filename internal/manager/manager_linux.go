package manager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/godbus/dbus/v5"
)

func ending(ctx context.Context) (bool, error) {
	doors, err := doors()
	if err != nil {
		return false, err
	}
	failure := ErrUnanswered
	for _, door := range doors {
		ends, err := door.ask(ctx)
		if err == nil {
			return ends, nil
		}
		failure = fmt.Errorf("%w: %s: %w", failure, door.path, err)
	}
	return false, failure
}

// A door is a Unix socket by which a manager can be reached.
type door struct {
	path string
	bus  bool // rather than the manager itself
}

// doors returns those of the manager of this process, best first. They are the same as systemctl's (bus_connect_system_systemd
// and bus_connect_user_systemd of systemd), but that no address is taken from $DBUS_SESSION_BUS_ADDRESS or
// $DBUS_SYSTEM_BUS_ADDRESS: these may lead to another bus, with no manager on it, or to a command to be started.
func doors() ([]door, error) {
	// systemd.exec(5): set for processes of the user's manager. The system's manager knows these as part of user@.service.
	if os.Getenv("MANAGERPID") != "" {
		return userDoors()
	}
	// sd_booted(3).
	if _, err := os.Lstat("/run/systemd/system"); err != nil {
		return nil, fmt.Errorf("systemd does not run here: %w: %w", errors.ErrUnsupported, err)
	}
	bus := door{"/run/dbus/system_bus_socket", true}
	if os.Geteuid() != 0 {
		return []door{bus}, nil
	}
	return []door{{"/run/systemd/private", false}, bus}, nil
}

func userDoors() ([]door, error) {
	run := os.Getenv("XDG_RUNTIME_DIR")
	if run == "" {
		return nil, fmt.Errorf("%w: $MANAGERPID tells of a user manager, but $XDG_RUNTIME_DIR not where it is", ErrUnanswered)
	}
	return []door{{filepath.Join(run, "systemd/private"), false}, {filepath.Join(run, "bus"), true}}, nil
}

func (d door) ask(ctx context.Context) (bool, error) {
	ends, err := d.stopping(ctx)
	// Which fails first, the wait or the connection that breaks at its end, is chance.
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return ends, err
}

func (d door) stopping(ctx context.Context) (bool, error) {
	conn, err := dial(ctx, d)
	if err != nil {
		return false, err
	}
	defer conn.close()
	job, err := conn.jobType()
	if err != nil || job != "stop" {
		return false, err
	}
	preserve, err := conn.ownProperty(manager+".Service", "FileDescriptorStorePreserve")
	if isUnknown(err) {
		return true, nil
	}
	return err == nil && preserve != "yes", err
}

const (
	manager = "org.freedesktop.systemd1"
	root    = dbus.ObjectPath("/org/freedesktop/systemd1")
	// self is the unit of whoever asks, by the credentials of the connection. GetUnitByPID would need a process id
	// as the manager sees it, which is another one under PrivatePIDs=yes.
	self = root + "/unit/self"
)

// jobType returns "" when the unit has no job. The unit's property Job would name an object that may be gone when it is asked
// for its type; the list is made in one go.
func (c *connection) jobType() (string, error) {
	name, err := c.ownProperty(manager+".Unit", "Id")
	if err != nil {
		return "", err
	}
	values, err := c.call(manager, root, manager+".Manager", "ListUnitsByNames", []string{name})
	if err != nil {
		return "", err
	}
	var units []listed
	if err := dbus.Store(values, &units); err != nil {
		return "", fmt.Errorf("ListUnitsByNames: %w", err)
	}
	if len(units) != 1 {
		return "", fmt.Errorf("ListUnitsByNames: %d units, want 1", len(units))
	}
	return units[0].JobType, nil
}

// ownProperty returns a property, of the type string, of the unit of this process.
func (c *connection) ownProperty(iface, name string) (string, error) {
	values, err := c.call(manager, self, "org.freedesktop.DBus.Properties", "Get", iface, name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	var value dbus.Variant
	if err := dbus.Store(values, &value); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	// Store would convert a number to a string.
	text, ok := value.Value().(string)
	if !ok {
		return "", fmt.Errorf("%s: a value of type %s, not a string", name, value.Signature())
	}
	return text, nil
}

// listed is a unit as ListUnitsByNames describes it, see org.freedesktop.systemd1(5).
type listed struct {
	Name, Description, LoadState, ActiveState, SubState, Following string

	Path    dbus.ObjectPath
	JobID   uint32
	JobType string // empty without a job
	JobPath dbus.ObjectPath
}

// isUnknown tells what a manager older than the property answers, or one whose unit is no service.
func isUnknown(err error) bool {
	var answer dbus.Error
	return errors.As(err, &answer) &&
		(answer.Name == "org.freedesktop.DBus.Error.UnknownProperty" || answer.Name == "org.freedesktop.DBus.Error.UnknownInterface")
}
