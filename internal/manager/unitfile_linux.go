package manager

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// A setting is the assignment that counts, and the file that it is in.
type setting struct {
	usec uint64
	path string
}

// builtIn is DEFAULT_TIMEOUT_USEC of systemd.
var builtIn = setting{usec: 90_000_000, path: BuiltIn}

// stopTimeout reads what systemd reads when it loads the unit: the last assignment counts, and one that is malformed is as if it
// were not there.
func (p places) stopTimeout(unit string) (setting, error) {
	fragment, err := p.fragment(unit)
	if err != nil {
		return setting{}, err
	}
	var found setting
	for _, path := range append([]string{fragment}, p.dropIns(unit)...) {
		if err := p.scan(path, &found, "Service", "TimeoutStopSec", "TimeoutSec"); err != nil {
			return setting{}, err
		}
	}
	if found.path != "" {
		return found, nil
	}
	for _, path := range p.configs() {
		if err := p.scan(path, &found, "Manager", "DefaultTimeoutStopSec"); err != nil {
			return setting{}, err
		}
	}
	if found.path != "" {
		return found, nil
	}
	return builtIn, nil
}

// fragment returns the unit's own file, or that of its template.
func (p places) fragment(unit string) (string, error) {
	names := []string{unit}
	if name, instance := cutInstance(unit); instance != "" {
		names = append(names, name+"@.service")
	}
	for _, name := range names {
		for _, folder := range p.units {
			path := folder + "/" + name
			text, err := p.read(path)
			switch {
			case err != nil:
				return "", err
			case text == nil:
				continue
			case len(text) == 0:
				return "", fmt.Errorf("%s: the unit is masked", path)
			}
			return path, nil
		}
	}
	return "", fmt.Errorf("no file of %s: %w", unit, fs.ErrNotExist)
}

// dropIns returns the unit's drop-ins in the order in which they are applied. The order of the folders decides which is taken of
// several with the same name (unit_file_find_dropin_paths of systemd).
func (p places) dropIns(unit string) []string {
	var folders []string
	names := dropInNames(unit)
	for _, folder := range p.units {
		for _, name := range names {
			folders = append(folders, folder+"/"+name+".d")
		}
	}
	for _, folder := range p.units {
		folders = append(folders, folder+"/service.d")
	}
	return p.list(folders)
}

// dropInNames returns whose drop-ins count for the unit, best first: a-b@i.service, a-b@.service, a-.service, a-@i.service and
// a-@.service, for instance.
func dropInNames(unit string) []string {
	names := []string{unit}
	prefix, instance := cutInstance(unit)
	suffix := ".service"
	if instance != "" {
		names = append(names, dropInNames(prefix+"@.service")...)
		suffix = "@" + instance + ".service"
	}
	if shorter := cutDash(prefix); shorter != "" {
		names = append(names, dropInNames(shorter+suffix)...)
	}
	// Those of the template come again for each instance of a shorter name.
	var first []string
	for _, name := range names {
		if !slices.Contains(first, name) {
			first = append(first, name)
		}
	}
	return first
}

// cutInstance returns what comes before the "@" of a service, and what comes after.
func cutInstance(unit string) (prefix, instance string) {
	prefix, instance, _ = strings.Cut(strings.TrimSuffix(unit, ".service"), "@")
	return prefix, instance
}

// cutDash returns the prefix up to its last dash: "a-" of "a-b", and nothing of "a" and "-a". A dash at the end is not
// that one.
func cutDash(prefix string) string {
	dash := strings.LastIndexByte(strings.TrimSuffix(prefix, "-"), '-')
	if dash <= 0 {
		return ""
	}
	return prefix[:dash+1]
}

// list returns the files that end in .conf, sorted by their names alone. The first folder that has a name hides the others'.
func (p places) list(folders []string) []string {
	paths := map[string]string{}
	for _, folder := range folders {
		// A folder that cannot be read is taken for empty, as one that is not there.
		entries, _ := os.ReadDir(p.root + folder)
		for _, entry := range entries {
			name := entry.Name()
			if !strings.HasSuffix(name, ".conf") || strings.HasPrefix(name, ".") || entry.IsDir() {
				continue
			}
			if _, hidden := paths[name]; !hidden {
				paths[name] = folder + "/" + name
			}
		}
	}
	var sorted []string
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		sorted = append(sorted, paths[name])
	}
	return sorted
}

// scan sets found to the last assignment in the file that can be understood, if there is one.
func (p places) scan(path string, found *setting, section string, keys ...string) error {
	text, err := p.read(path)
	if err != nil {
		return err
	}
	for key, value := range assignments(string(text), section) {
		if !slices.Contains(keys, key) {
			continue
		}
		if usec, err := parseSpan(value); err == nil {
			*found = setting{usec, path}
		}
	}
	return nil
}

// read returns nil if there is no such file, or a folder on the way is hidden, and an empty text for a mask: /dev/null.
func (p places) read(path string) ([]byte, error) {
	path = p.root + path
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return []byte{}, nil
	}
	if err == nil {
		var text []byte
		if text, err = os.ReadFile(path); err == nil {
			return text, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	// The file itself can be seen where only reading it is not allowed.
	if _, hidden := os.Lstat(path); errors.Is(hidden, fs.ErrPermission) {
		return nil, nil
	}
	return nil, err
}
