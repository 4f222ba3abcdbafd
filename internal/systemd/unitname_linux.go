package systemd

import (
	"os"
	"path/filepath"
	"strings"
)

// ownUnit returns the name of the service that this process belongs to, or ""
// if that cannot be seen.
func ownUnit() string {
	// Its own folder is all of /proc that ProcSubset=pid leaves.
	if text, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		if unit := unitOfCgroups(string(text), ofUser()); unit != "" {
			return unit
		}
	}
	// A control group namespace hides the path (ProtectControlGroups=private,
	// systemd 257).
	return unitOfInvocation(os.Getenv("INVOCATION_ID"))
}

// unitOfCgroups takes the text of /proc/PID/cgroup, see cgroups(7). systemd
// puts its units into the hierarchy of version 2, or into its own one.
func unitOfCgroups(text string, ofUser bool) string {
	for line := range strings.Lines(text) {
		_, hierarchy, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, path, _ := strings.Cut(hierarchy, ":")
		if controllers != "" && controllers != "name=systemd" {
			continue
		}
		if unit := unitOfPath(path, ofUser); unit != "" {
			return unit
		}
	}
	return ""
}

// unitOfPath returns the service that a control group belongs to: it comes
// after the slices, and what is below it is its own affair. The services of a
// user manager are below the manager's own (cg_path_get_unit and
// cg_path_get_user_unit of systemd).
func unitOfPath(path string, ofUser bool) string {
	for folder := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		switch {
		case strings.HasSuffix(folder, ".slice"):
		case !strings.HasSuffix(folder, ".service"):
			return ""
		case ofUser:
			ofUser = false
		default:
			// cg_escape puts a "_" before what could be taken for a file of the
			// kernel's.
			return strings.TrimPrefix(folder, "_")
		}
	}
	return ""
}

// unitOfInvocation looks for the unit among the links that systemd keeps for
// journald: each is named for a unit, and leads to the id of its latest start.
func unitOfInvocation(id string) string {
	folder := "/run/systemd/units"
	if ofUser() {
		folder = filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "systemd/units")
	}
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		unit, found := strings.CutPrefix(entry.Name(), "invocation:")
		if !found || !strings.HasSuffix(unit, ".service") {
			continue
		}
		if target, err := os.Readlink(filepath.Join(folder, entry.Name())); err == nil && target == id {
			return unit
		}
	}
	return ""
}
