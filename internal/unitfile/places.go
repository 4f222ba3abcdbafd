package unitfile

import (
	"cmp"
	"os"
	"path/filepath"
)

// Places are where a manager looks for files.
type Places struct {
	Root    string   // what all paths are below: empty for this machine's own, or the root folder of another
	Folders []string // best first, absolute
}

// SystemPlaces are where the system's manager looks for units, as systemd 262
// says of itself; see also systemd.unit(5). Where /lib is a folder of its own
// it holds units too.
func SystemPlaces(root string) Places {
	return Places{Root: root, Folders: []string{
		"/etc/systemd/system.control",
		"/run/systemd/system.control",
		"/run/systemd/transient",
		"/run/systemd/generator.early",
		"/etc/systemd/system",
		"/etc/systemd/system.attached",
		"/run/systemd/system",
		"/run/systemd/system.attached",
		"/run/systemd/generator",
		"/usr/local/lib/systemd/system",
		"/usr/lib/systemd/system",
		"/lib/systemd/system",
		"/run/systemd/generator.late",
	}}
}

// UserPlaces are where the manager of the user looks for units, if
// $XDG_CONFIG_DIRS and $XDG_DATA_DIRS are not set. It takes $HOME,
// $XDG_RUNTIME_DIR, $XDG_CONFIG_HOME and $XDG_DATA_HOME from this process.
// Where one is not set, what is in it is not looked for: the folders lead
// nowhere.
func UserPlaces(root string) Places {
	home := ofUser()
	return Places{Root: root, Folders: []string{
		home.config + "/user.control",
		home.run + "/user.control",
		home.run + "/transient",
		home.run + "/generator.early",
		home.config + "/user",
		"/etc/xdg/systemd/user",
		"/etc/systemd/user",
		home.run + "/user",
		"/run/systemd/user",
		home.run + "/generator",
		home.data + "/user",
		"/usr/local/share/systemd/user",
		"/usr/share/systemd/user",
		"/usr/local/lib/systemd/user",
		"/usr/lib/systemd/user",
		home.run + "/generator.late",
	}}
}

// SystemConfigs are where the system's manager looks for its own configuration,
// "system.conf" (systemd-system.conf(5)), for [Places.LoadConfig].
func SystemConfigs(root string) Places {
	return Places{Root: root, Folders: []string{"/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"}}
}

// UserConfigs are where the manager of the user looks for its own, "user.conf".
func UserConfigs(root string) Places {
	p := SystemConfigs(root)
	p.Folders = append([]string{ofUser().config}, p.Folders...)
	return p
}

// userFolders are those named systemd in the folders of the user.
type userFolders struct{ run, config, data string }

func ofUser() userFolders {
	home := cmp.Or(os.Getenv("HOME"), nowhere)
	return userFolders{
		run:    cmp.Or(os.Getenv("XDG_RUNTIME_DIR"), nowhere) + "/systemd",
		config: cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(home, ".config")) + "/systemd",
		data:   cmp.Or(os.Getenv("XDG_DATA_HOME"), filepath.Join(home, ".local/share")) + "/systemd",
	}
}

// nowhere has nothing below it.
const nowhere = "/dev/null"
