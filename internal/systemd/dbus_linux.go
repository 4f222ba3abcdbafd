package systemd

import (
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"
)

func (c *connection) dbusEnds() (bool, error) {
	job, err := c.jobType()
	if err != nil || job != "stop" {
		return false, err
	}
	preserve, err := ownProperty[string](c, manager+".Service", "FileDescriptorStorePreserve")
	if isUnknown(err) {
		return true, nil
	}
	return err == nil && preserve != "yes", err
}

func (c *connection) dbusStopTimeout() (uint64, error) {
	usec, err := ownProperty[uint64](c, manager+".Service", "TimeoutStopUSec")
	if isUnknown(err) {
		// A scope has a property of that name too, but in another interface.
		err = fmt.Errorf("%w: %w", ErrNoUnit, err)
	}
	return usec, err
}

const (
	manager = "org.freedesktop.systemd1"
	root    = dbus.ObjectPath("/org/freedesktop/systemd1")
	// self is the unit of the process that asks, by the credentials of the
	// connection. GetUnitByPID would need a process id as the manager sees it,
	// which is another one under PrivatePIDs=yes.
	self = root + "/unit/self"
)

// jobType returns "" when the unit has no job. The unit's property Job would
// name an object that may be gone when it is asked for its type; the list is
// made in one go.
func (c *connection) jobType() (string, error) {
	name, err := ownProperty[string](c, manager+".Unit", "Id")
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

// ownProperty returns a property of the unit of this process.
func ownProperty[T any](c *connection, iface, name string) (T, error) {
	var none T
	values, err := c.call(manager, self, "org.freedesktop.DBus.Properties", "Get", iface, name)
	if err != nil {
		return none, fmt.Errorf("%s: %w", name, err)
	}
	var variant dbus.Variant
	if err := dbus.Store(values, &variant); err != nil {
		return none, fmt.Errorf("%s: %w", name, err)
	}
	// Store would convert a number to a string.
	value, ok := variant.Value().(T)
	if !ok {
		return none, fmt.Errorf("%s: a value of type %s, not %s", name, variant.Signature(), dbus.SignatureOf(none))
	}
	return value, nil
}

// listed is a unit as ListUnitsByNames describes it, see
// org.freedesktop.systemd1(5).
type listed struct {
	Name, Description, LoadState, ActiveState, SubState, Following string

	Path    dbus.ObjectPath
	JobID   uint32
	JobType string // empty without a job
	JobPath dbus.ObjectPath
}

// isUnknown tells what a manager older than the property answers, or one whose
// unit is no service.
func isUnknown(err error) bool {
	var answer dbus.Error
	return errors.As(err, &answer) &&
		(answer.Name == "org.freedesktop.DBus.Error.UnknownProperty" || answer.Name == "org.freedesktop.DBus.Error.UnknownInterface")
}
