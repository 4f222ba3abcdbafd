package lint_test

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"testing"

	sdbus "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// A bus is a connection to the system bus of a machine: systemd itself talks to
// nobody whose process it does not see. A hundred services that are looked at
// often would keep the processors busy with systemctl otherwise.
type bus struct{ conn *dbus.Conn }

func newBus(t *testing.T, m *sdtest.Machine) *bus {
	t.Helper()
	b := &bus{}
	err := m.Inside(func() (err error) {
		b.conn, err = dbus.Dial("unix:path=/run/dbus/system_bus_socket")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.conn.Close() })
	if err := errors.Join(b.conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))}), b.conn.Hello()); err != nil {
		t.Fatal(err)
	}
	return b
}

const systemd = "org.freedesktop.systemd1"

// state is what systemctl shows as Active, such as "active/running".
func (b *bus) state(t *testing.T, unit string) string {
	t.Helper()
	var units []struct {
		Name, Description, Load, Active, Sub, Following string
		Path                                            dbus.ObjectPath
		Job                                             uint32
		JobType                                         string
		JobPath                                         dbus.ObjectPath
	}
	call := b.conn.Object(systemd, "/org/freedesktop/systemd1").Call(systemd+".Manager.ListUnitsByNames", 0, []string{unit})
	if err := call.Store(&units); err != nil || len(units) != 1 {
		t.Fatalf("ListUnitsByNames %s: %v, %v", unit, units, err)
	}
	return units[0].Active + "/" + units[0].Sub
}

// end kills what is left of a service and stops its units. It waits for
// nothing.
func (b *bus) end(units []string) {
	manager := b.conn.Object(systemd, "/org/freedesktop/systemd1")
	manager.Call(systemd+".Manager.KillUnit", 0, units[len(units)-1], "all", int32(syscall.SIGKILL))
	for _, unit := range units {
		manager.Call(systemd+".Manager.StopUnit", 0, unit, "replace")
	}
}

// number is a property of a service.
func (b *bus) number(t *testing.T, unit, property string) int {
	t.Helper()
	path := dbus.ObjectPath("/org/freedesktop/systemd1/unit/" + sdbus.PathBusEscape(unit))
	value, err := b.conn.Object(systemd, path).GetProperty(systemd + ".Service." + property)
	if err != nil {
		t.Fatalf("%s of %s: %v", property, unit, err)
	}
	n, ok := value.Value().(uint32)
	if !ok {
		t.Fatalf("%s of %s is %v", property, unit, value)
	}
	return int(n)
}
