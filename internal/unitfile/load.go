package unitfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// ErrMasked is matched by the errors of [Places.Load] and [LoadFile] for a unit
// whose file is empty, or /dev/null: systemd does not start such a one.
var ErrMasked = errors.New("the unit is masked")

// Load reads the unit of that name, or of that alias, of any type. A template
// ("a@.service") is read as one.
//
// The error matches [io/fs.ErrNotExist] if there is no file of it, and then
// names the folders that were looked through, [ErrMasked], or
// [io/fs.ErrInvalid] if the name is none that a unit can have; and it is that
// of the operating system if a file is there but cannot be read. Folders that
// cannot be read, as in a sandbox, count as empty.
//
// Nothing is kept: a second call reads again. Goroutines may share the Places.
func (p Places) Load(name string) (*Unit, error) {
	if !isUnitName(name) {
		return nil, fmt.Errorf("%q is no name of a unit: %w", name, fs.ErrInvalid)
	}
	fragment := p.fragment(name)
	if fragment == "" {
		return nil, fmt.Errorf("no file of %s in %s: %w", name, strings.Join(p.Folders, ", "), fs.ErrNotExist)
	}
	text, err := p.read(fragment)
	switch {
	case err != nil:
		return nil, err
	case text == nil:
		return nil, fmt.Errorf("%s leads to no file: %w", fragment, fs.ErrNotExist)
	case len(text) == 0:
		return nil, fmt.Errorf("%s: %w", fragment, ErrMasked)
	}
	u := &Unit{Name: withInstance(path.Base(fragment), instanceOf(name))}
	u.Aliases = p.aliases(u.Name, fragment)
	u.add(fragment, string(text))
	return u, p.addAll(u, p.list(p.dropInFolders(u)))
}

// LoadConfig reads a manager's configuration, such as "system.conf": the file
// in the best folder that has one, and then the drop-ins. That there is neither
// is no error. The name is the Unit's.
func (p Places) LoadConfig(name string) (*Unit, error) {
	u := &Unit{Name: name}
	var folders []string
	for _, folder := range p.Folders {
		file := folder + "/" + name
		folders = append(folders, file+".d")
		if len(u.Paths) > 0 {
			continue
		}
		if err := p.addAll(u, []string{file}); err != nil {
			return nil, err
		}
	}
	return u, p.addAll(u, p.list(folders))
}

// LoadFile reads one file as it lies there, and the drop-ins in the folder
// beside it that has its path with ".d" after it. The Unit has the name of the
// file, whether or not a unit can have such a one. The errors are those of
// [Places.Load].
func LoadFile(name string) (*Unit, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if len(text) == 0 {
		return nil, fmt.Errorf("%s: %w", name, ErrMasked)
	}
	u := &Unit{Name: filepath.Base(name)}
	u.add(name, string(text))
	return u, Places{}.addAll(u, Places{}.list([]string{name + ".d"}))
}

// addAll adds those of the files that are there.
func (p Places) addAll(u *Unit, paths []string) error {
	for _, file := range paths {
		text, err := p.read(file)
		if err != nil {
			return err
		}
		if text != nil {
			u.add(file, string(text))
		}
	}
	return nil
}

// read returns nil if there is no such file, or a folder on the way is hidden,
// and an empty text for a mask: /dev/null. A link in a Root may lead there
// though that has none.
func (p Places) read(name string) ([]byte, error) {
	if name = p.host(name, true); name == p.Root+"/dev/null" {
		return []byte{}, nil
	}
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return nil, nil
	case err == nil && !info.Mode().IsRegular():
		return []byte{}, nil
	}
	if err == nil {
		var text []byte
		if text, err = os.ReadFile(name); err == nil {
			return text, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	// The file itself can be seen where only reading it is not allowed.
	if _, hidden := os.Lstat(name); errors.Is(hidden, fs.ErrPermission) {
		return nil, nil
	}
	return nil, err
}

// host returns the path by which a file can be reached that may be below Root:
// links lead to files below it then. The last name may be left as it is.
func (p Places) host(name string, last bool) string {
	if p.Root == "" {
		return name
	}
	return p.Root + p.follow(name, last)
}

// follow returns where the links in a path lead, below Root. The last name may
// be left as it is. What is not there leads to itself.
func (p Places) follow(name string, last bool) string {
	done, rest := "", name
	for links := 0; rest != ""; {
		part, after, _ := strings.Cut(rest, "/")
		rest = after
		switch part {
		case "", ".":
			continue
		case "..":
			done = done[:max(0, strings.LastIndexByte(done, '/'))]
			continue
		}
		done += "/" + part
		if rest == "" && !last || links == mostLinks {
			continue
		}
		if target, err := os.Readlink(p.Root + done); err == nil {
			links++
			done, rest = path.Dir(done), target+"/"+rest
			if done == "/" || strings.HasPrefix(target, "/") {
				done = ""
			}
		}
	}
	return done
}

// mostLinks is how many the kernel follows in a path (path_resolution(7)).
const mostLinks = 40
