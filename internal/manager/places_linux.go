package manager

import (
	"cmp"
	"os"
	"path/filepath"
)

// places are where a manager looks for its files.
type places struct {
	root  string   // what all paths are below: empty but in tests
	units []string // folders, best first
	confs []string // folders, best first
	conf  string   // the name of the manager's own configuration in them
}

func ownPlaces() places {
	if ofUser() {
		return userPlaces()
	}
	return systemPlaces()
}

// systemPlaces are what systemd 262 says of itself, see also systemd.unit(5) and systemd-system.conf(5). Where /lib is a folder
// of its own it holds units too.
func systemPlaces() places {
	return places{
		units: []string{
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
		},
		confs: []string{"/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"},
		conf:  "system.conf",
	}
}

// userPlaces need to know three folders of the user. Where one is not told, what is in it is not looked for: the paths lead
// nowhere.
func userPlaces() places {
	home := cmp.Or(os.Getenv("HOME"), nowhere)
	run := cmp.Or(os.Getenv("XDG_RUNTIME_DIR"), nowhere) + "/systemd"
	config := cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(home, ".config")) + "/systemd"
	data := cmp.Or(os.Getenv("XDG_DATA_HOME"), filepath.Join(home, ".local/share")) + "/systemd"
	return places{
		units: []string{
			config + "/user.control",
			run + "/user.control",
			run + "/transient",
			run + "/generator.early",
			config + "/user",
			"/etc/xdg/systemd/user",
			"/etc/systemd/user",
			run + "/user",
			"/run/systemd/user",
			run + "/generator",
			data + "/user",
			"/usr/local/share/systemd/user",
			"/usr/share/systemd/user",
			"/usr/local/lib/systemd/user",
			"/usr/lib/systemd/user",
			run + "/generator.late",
		},
		confs: []string{config, "/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"},
		conf:  "user.conf",
	}
}

// nowhere has nothing below it.
const nowhere = "/dev/null"

// configs returns the files of the manager's own configuration in the order in which they are applied: one of the main
// files, then the drop-ins.
func (p places) configs() []string {
	var files, folders []string
	for _, folder := range p.confs {
		path := folder + "/" + p.conf
		if _, err := os.Stat(p.root + path); err == nil && files == nil {
			files = []string{path}
		}
		folders = append(folders, path+".d")
	}
	return append(files, p.list(folders)...)
}
