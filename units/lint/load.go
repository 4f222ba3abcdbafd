package lint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
	"github.com/heirloom-go/heirloom/units"
)

// ErrMasked is matched by the error of [Check] for a unit that is masked.
var ErrMasked = unitfile.ErrMasked

// ErrKind is matched by the error of [Check] for a unit that is neither a
// service nor a socket.
var ErrKind = errors.New("neither a service nor a socket")

// A group is a service and its sockets. There may be no service, if only a
// socket was found.
type group struct {
	service *subject
	sockets []*subject
	missing []unitfile.Word // of Sockets=: what was not found
}

// subjects are the service, if there is one, and the sockets.
func (g group) subjects() []*subject {
	if g.service == nil {
		return g.sockets
	}
	return append([]*subject{g.service}, g.sockets...)
}

// A loader reads units, each once.
type loader struct {
	places unitfile.Places
	given  []*subject          // the arguments, in their order
	loaded map[string]*subject // by path or name; nil if it cannot be had
	listed map[string][]string // names of sockets by folder
	drafts map[string]string   // drop-ins to come, by unit
}

func newLoader(options Options) *loader {
	places := unitfile.SystemPlaces(options.Root)
	if options.Scope == units.User {
		places = unitfile.UserPlaces(options.Root)
	}
	return &loader{places: places, loaded: map[string]*subject{}, listed: map[string][]string{}, drafts: options.drafts}
}

func (l *loader) takeAll(args []string) []error {
	var errs []error
	for _, arg := range args {
		s, err := l.take(arg)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", arg, err))
			continue
		}
		if !slices.Contains(l.given, s) {
			l.given = append(l.given, s)
		}
	}
	return errs
}

func (l *loader) take(arg string) (*subject, error) {
	if l.isPath(arg) {
		if sectionOf(arg) == "" {
			return nil, ErrKind
		}
		return l.file(arg)
	}
	if filepath.Ext(arg) == "" {
		arg += ".service"
	}
	if sectionOf(arg) == "" {
		return nil, ErrKind
	}
	return l.unit(arg)
}

// isPath reports whether an argument is no name. Below a root a file of the
// working folder is not what is asked for.
func (l *loader) isPath(arg string) bool {
	if strings.ContainsRune(arg, '/') || strings.ContainsRune(arg, filepath.Separator) {
		return true
	}
	if l.places.Root != "" || sectionOf(arg) == "" { // hello is the unit hello.service, also beside a program of that name
		return false
	}
	_, err := os.Stat(arg)
	return err == nil
}

// sectionOf returns the section that a unit of that kind has of its own.
func sectionOf(name string) string {
	switch filepath.Ext(name) {
	case ".service":
		return "Service"
	case ".socket":
		return "Socket"
	}
	return ""
}

// file loads what lies at a path.
func (l *loader) file(path string) (*subject, error) {
	if s := l.loaded[path]; s != nil {
		return s, nil
	}
	u, err := unitfile.LoadFile(path)
	if err != nil {
		return nil, err
	}
	s := newSubject(u, "")
	s.folder = filepath.Dir(path)
	s.managed = slices.Contains(l.places.Folders, strings.TrimPrefix(filepath.ToSlash(s.folder), l.places.Root))
	l.loaded[path] = s
	return s, nil
}

// unit loads a manager's unit.
func (l *loader) unit(name string) (*subject, error) {
	if s := l.loaded[name]; s != nil {
		return s, nil
	}
	u, err := l.places.Load(name)
	if err != nil {
		return nil, err
	}
	if text := l.drafts[u.Name]; text != "" {
		u.Apply(draftPath, text)
	}
	s := newSubject(u, l.places.Root)
	s.managed = true
	s.wanted = s.section == "Socket" && l.wanted(name)
	l.loaded[name] = s
	return s, nil
}

// wanted reports whether a link starts the unit, as `systemctl enable` and
// packages make them.
func (l *loader) wanted(name string) bool {
	return slices.ContainsFunc(l.places.Folders, func(folder string) bool {
		for _, kind := range []string{"wants", "requires", "upholds"} {
			links, _ := filepath.Glob(filepath.Join(l.places.Root, folder, "*."+kind, name)) // of a pattern that is well-formed
			if len(links) > 0 {
				return true
			}
		}
		return false
	})
}

// groups returns the services of the arguments with their sockets, and the
// other way round.
func (l *loader) groups() []group {
	var groups []group
	done := map[*subject]bool{}
	add := func(g group) {
		if g.service == nil || !done[g.service] {
			groups = append(groups, g)
			done[g.service] = true
		}
	}
	for _, s := range l.given {
		if s.section == "Service" {
			add(l.group(s))
		}
	}
	for _, s := range l.given {
		if s.section != "Socket" {
			continue
		}
		if service := l.find(s.serviceName(), s); service != nil {
			g := l.group(service)
			if !slices.Contains(g.sockets, s) {
				g.sockets = append(g.sockets, s)
				delete(done, service)
			}
			add(g)
		} else {
			add(group{sockets: []*subject{s}})
		}
	}
	return groups
}

// group finds the sockets of a service.
func (l *loader) group(service *subject) group {
	g := group{service: service}
	for _, word := range service.related("Service", "Sockets") {
		socket := l.find(service.expand(word.Text), service)
		if socket == nil {
			g.missing = append(g.missing, word)
		} else if socket.section == "Socket" && !slices.Contains(g.sockets, socket) {
			g.sockets = append(g.sockets, socket)
		}
	}
	for _, name := range l.socketNames(service) {
		socket := l.find(name, service)
		if socket != nil && socket.serviceName() == service.Name && !slices.Contains(g.sockets, socket) {
			g.sockets = append(g.sockets, socket)
		}
	}
	return g
}

// find returns the unit of that name that belongs to s, or nil.
func (l *loader) find(name string, s *subject) *subject {
	if i := slices.IndexFunc(l.given, func(other *subject) bool { return other.Name == name }); i >= 0 {
		return l.given[i]
	}
	if s.folder != "" {
		if found, err := l.file(filepath.Join(s.folder, name)); err == nil && sectionOf(name) != "" {
			return found
		}
	}
	if s.managed && sectionOf(name) != "" {
		if found, err := l.unit(name); err == nil {
			return found
		}
	}
	return nil
}

// socketNames returns those of all sockets that might belong to the service,
// sorted within each folder.
func (l *loader) socketNames(s *subject) []string {
	var names []string
	for _, given := range l.given {
		if given.section == "Socket" {
			names = append(names, given.Name)
		}
	}
	if s.folder != "" {
		names = append(names, l.list(s.folder)...)
	}
	if s.managed {
		for _, folder := range l.places.Folders {
			names = append(names, l.list(filepath.Join(l.places.Root, folder))...)
		}
		// An instance has no file of its own.
		names = append(names, strings.TrimSuffix(s.Name, ".service")+".socket")
	}
	return names
}

func (l *loader) list(folder string) []string {
	names, known := l.listed[folder]
	if !known {
		entries, _ := os.ReadDir(folder) // one that cannot be read has none
		for _, entry := range entries {
			if filepath.Ext(entry.Name()) == ".socket" {
				names = append(names, entry.Name())
			}
		}
		l.listed[folder] = names
	}
	return names
}
