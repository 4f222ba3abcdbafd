package unitfile

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// fragment returns the unit's own file, or that of its template, or ""
// (unit_file_find_fragment).
func (p Places) fragment(name string) string {
	file := p.resolve(name)
	if file == "" && instanceOf(name) != "" {
		file = p.resolve(templateOf(name))
	}
	return file
}

// resolve returns the file that a name leads to in the end, or ""
// (unit_ids_map_get).
func (p Places) resolve(name string) string {
	const most = 8
	for n := range most {
		file, other := p.lookUp(name)
		if file == "" && other == "" && n > 0 && instanceOf(name) != "" {
			file, other = p.lookUp(templateOf(name))
		}
		if other == "" {
			return file
		}
		name = other
	}
	return ""
}

// lookUp returns the file of that name in the best folder that has one, or the
// other name that it is a link to (unit_file_build_name_map).
func (p Places) lookUp(name string) (file, other string) {
	for _, folder := range p.Folders {
		file := folder + "/" + name
		// A folder that cannot be looked into is taken for empty, as one that
		// is not there.
		info, err := os.Lstat(p.host(file, false))
		if err != nil {
			continue
		}
		switch info.Mode().Type() {
		case 0, fs.ModeDevice | fs.ModeCharDevice:
			return file, ""
		case fs.ModeSymlink:
			other, valid := p.alias(file)
			if valid && other == "" {
				return file, ""
			}
			if valid {
				return "", other
			}
		}
	}
	return "", ""
}

// alias returns the name that a link makes another one of. One that leads to
// outside of the folders makes none: the file is linked, or masked. One that
// makes no sense is not valid: it is as if it were not there
// (unit_file_resolve_symlink).
func (p Places) alias(link string) (other string, valid bool) {
	target, err := os.Readlink(p.host(link, false))
	if err != nil {
		return "", false
	}
	if !strings.HasPrefix(target, "/") {
		target = path.Dir(link) + "/" + target
	}
	target = p.follow(target, false)
	if !p.within(target) {
		return "", true
	}
	other = path.Base(target)
	return other, mayAlias(path.Base(link), other)
}

// within reports whether a path is below one of the folders, or of where they
// lead.
func (p Places) within(file string) bool {
	plainly := func(folder string) bool { return strings.HasPrefix(file, folder+"/") }
	return slices.ContainsFunc(p.Folders, plainly) || slices.ContainsFunc(p.Folders, func(folder string) bool {
		return strings.HasPrefix(file, p.follow(folder, true)+"/")
	})
}

// aliases returns the other names that lead to the unit's file, sorted.
func (p Places) aliases(name, fragment string) []string {
	instance := instanceOf(name)
	names := map[string]bool{}
	for _, link := range p.links(name) {
		if other := instanceOf(link); other != "" && other != instance || p.resolve(link) != fragment {
			continue
		}
		if isTemplate(link) && instance != "" {
			link = withInstance(link, instance)
			if own := p.resolve(link); own != "" && own != fragment {
				continue
			}
		}
		names[link] = true
	}
	delete(names, name)
	return slices.Sorted(maps.Keys(names))
}

// links returns the names of links to names of that type.
func (p Places) links(name string) []string {
	_, suffix := cutType(name)
	var links []string
	for _, folder := range p.Folders {
		for _, entry := range entries(p.host(folder, true)) {
			if entry.Type() != fs.ModeSymlink || !strings.HasSuffix(entry.Name(), suffix) {
				continue
			}
			// Most are masks.
			target, err := os.Readlink(p.host(folder+"/"+entry.Name(), false))
			if err == nil && strings.HasSuffix(target, suffix) {
				links = append(links, entry.Name())
			}
		}
	}
	return unique(links)
}

// dropInFolders returns the folders of the unit's drop-ins that there are, best
// first (unit_file_find_dropin_paths).
func (p Places) dropInFolders(u *Unit) []string {
	var folders []string
	for _, name := range append([]string{u.Name}, u.Aliases...) {
		names := dropInNames(name)
		for _, folder := range p.Folders {
			for _, name := range names {
				folders = append(folders, folder+"/"+name+".d")
			}
		}
	}
	_, suffix := cutType(u.Name)
	for _, folder := range p.Folders {
		folders = append(folders, folder+"/"+strings.TrimPrefix(suffix, ".")+".d")
	}
	var there []string
	for _, folder := range folders {
		// systemd names a drop-in by where links in its path lead.
		if _, err := os.Lstat(p.host(folder, false)); err == nil {
			there = append(there, p.follow(folder, true))
		}
	}
	return there
}

// list returns what ends in .conf, sorted by the names alone. The first folder
// that has a name hides the others', even if it has but a folder of that name,
// or a link that leads nowhere (conf_files_list_strv).
func (p Places) list(folders []string) []string {
	paths := map[string]string{}
	for _, folder := range folders {
		for _, entry := range entries(p.host(folder, true)) {
			name := entry.Name()
			if !strings.HasSuffix(name, ".conf") || strings.HasPrefix(name, ".") {
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

// entries returns what is in a folder, in no order: one with a thousand units
// is not sorted in vain. A folder that cannot be read is taken for empty, as
// one that is not there.
func entries(folder string) []fs.DirEntry {
	f, err := os.Open(folder)
	if err != nil {
		return nil
	}
	defer f.Close()
	entries, _ := f.ReadDir(-1)
	return entries
}
