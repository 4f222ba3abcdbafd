package systemd

import "github.com/heirloom-go/heirloom/internal/unitfile"

// A setting is the assignment that counts, and the file that it is in.
type setting struct {
	usec uint64
	path string
}

// builtIn is DEFAULT_TIMEOUT_USEC of systemd.
var builtIn = setting{usec: 90_000_000, path: BuiltIn}

// places are where a manager looks for its files.
type places struct {
	units, configs unitfile.Places
	config         string // the name of the manager's own configuration
}

// ownPlaces are below a root folder, which is empty but in tests.
func ownPlaces(root string) places {
	if ofUser() {
		return places{unitfile.UserPlaces(root), unitfile.UserConfigs(root), "user.conf"}
	}
	return places{unitfile.SystemPlaces(root), unitfile.SystemConfigs(root), "system.conf"}
}

// stopTimeout reads what systemd reads when it loads the unit.
func (p places) stopTimeout(name string) (setting, error) {
	unit, err := p.units.Load(name)
	if err != nil {
		return setting{}, err
	}
	if s, found := lastSpan(unit, "Service", "TimeoutStopSec", "TimeoutSec"); found {
		return s, nil
	}
	config, err := p.configs.LoadConfig(p.config)
	if err != nil {
		return setting{}, err
	}
	if s, found := lastSpan(config, "Manager", "DefaultTimeoutStopSec"); found {
		return s, nil
	}
	return builtIn, nil
}

// lastSpan returns the last assignment that is a time span: one that is
// malformed is as if it were not there.
func lastSpan(u *unitfile.Unit, section string, names ...string) (last setting, found bool) {
	for _, a := range u.All(section, names...) {
		if usec, err := unitfile.ParseSpan(a.Value); err == nil {
			last, found = setting{usec, a.Path}, true
		}
	}
	return last, found
}
