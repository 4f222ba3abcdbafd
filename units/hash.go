package units

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// HashVariable is the environment variable in which a rendered unit holds its hash. A running daemon has the hash of the unit that it was
// started with, and hands it on to its successors, as it does its sandbox.
const HashVariable = "HEIRLOOM_UNIT_HASH"

// live are the settings of the section Service that systemd applies after a daemon-reload to a service that runs: it looks at them when
// it reloads, stops, or has seen the end of a process. All others of that section are those of the processes, which a reload hands on
// from one to the next, or of a start: only a new start applies them.
//
// Type= and NotifyAccess= decide whether the processes get $NOTIFY_SOCKET. Those of resource control are applied by some versions and not
// by others: 257 does not apply IPAddressDeny=.
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

// Hash returns the hash of those settings in the text of a service's unit that take a new start to be applied, and the one that the unit
// itself holds, or "". They differ if the unit was changed after it was rendered. Both are 16 hexadecimal digits.
//
// What a change of the other settings takes is a `systemctl daemon-reload`. A change of files that the unit names, such as
// those of EnvironmentFile=, is not seen.
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

// startsAnew leaves out what systemd ignores, too.
func startsAnew(section, name string) bool {
	return section == "Service" && !live[name] && !strings.HasPrefix(name, "X-")
}

func digest(settings []string) string {
	sum := sha256.Sum256([]byte(strings.Join(settings, "\n")))
	return hex.EncodeToString(sum[:8])
}
