package units

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// HashVariable is the environment variable in which a rendered unit holds its
// hash. A running daemon has the hash of the unit that it was started with. Its
// successors inherit the hash, as they do the sandbox.
const HashVariable = "HEIRLOOM_UNIT_HASH"

// live are the settings of the section Service that systemd applies after a
// daemon-reload to a service that runs: it reads them when it reloads, stops,
// or sees a process exit. The other settings of that section belong to the
// processes, and a successor inherits them on a reload, or to a start. Only a
// new start applies them.
//
// Type= and NotifyAccess= decide whether the processes get $NOTIFY_SOCKET. Some
// versions apply settings of resource control and others do not: 257 does not
// apply IPAddressDeny=.
var live = map[string]bool{
	"ExecReload": true, "ExecReloadPost": true, "ExecStop": true, "ExecStopPost": true,
	"ExitType": true, "FileDescriptorStoreMax": true, "FileDescriptorStorePreserve": true, "FinalKillSignal": true,
	"KillMode": true, "KillSignal": true, "ReloadSignal": true,
	"Restart": true, "RestartForceExitStatus": true, "RestartKillSignal": true, "RestartMaxDelaySec": true,
	"RestartMode": true, "RestartPreventExitStatus": true, "RestartSec": true, "RestartSteps": true,
	"SendSIGHUP": true, "SendSIGKILL": true, "SuccessExitStatus": true,
	"TimeoutAbortSec": true, "TimeoutSec": true, "TimeoutStartFailureMode": true, "TimeoutStartSec": true,
	"TimeoutStopFailureMode": true, "TimeoutStopSec": true, "WatchdogSignal": true,
}

// Hash returns the hash of the settings in the text of a service's unit that
// only a new start applies, and the hash that the unit itself holds, or "".
// They differ if the unit was changed after it was rendered. Both are 16
// hexadecimal digits.
//
// A `systemctl daemon-reload` applies a change of the other settings. Hash does
// not see changes of files that the unit names, such as those of
// EnvironmentFile=.
func Hash(text string) (hash, held string) {
	var settings []string
	for _, a := range unitfile.Parse("", text).Assignments {
		if value, found := strings.CutPrefix(a.Value, HashVariable+"="); found && a.Section == "Service" && a.Name == "Environment" {
			held = value
			continue
		}
		if startsAnew(a.Section, a.Name) {
			settings = append(settings, a.Name+"="+a.Value)
		}
	}
	return digest(settings), held
}

func hashOf(o options) string {
	var settings []string
	for _, option := range o {
		if startsAnew(option.Section, option.Name) {
			settings = append(settings, option.Name+"="+strings.Trim(option.Value, " \t"))
		}
	}
	return digest(settings)
}

// startsAnew reports whether only a new start applies the setting. It is false
// for settings that systemd ignores.
func startsAnew(section, name string) bool {
	return section == "Service" && !live[name] && !strings.HasPrefix(name, "X-")
}

func digest(settings []string) string {
	sum := sha256.Sum256([]byte(strings.Join(settings, "\n")))
	return hex.EncodeToString(sum[:8])
}
