package lint

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// A subject is a unit that is linted.
type subject struct {
	*unitfile.Unit
	section string         // that of its kind: Service or Socket
	root    string         // that its paths are below
	folder  string         // where it lies, if it was asked for by its path
	managed bool           // whether a manager would find it
	wanted  bool           // whether a link in a folder such as sockets.target.wants starts it
	headers map[string]int // the line of each section's header in its own file
}

func newSubject(u *unitfile.Unit, root string) *subject {
	s := &subject{Unit: u, section: sectionOf(u.Name), root: root}
	// Where it cannot be read a second time headers have no line.
	text, _ := os.ReadFile(s.show(u.Paths[0]))
	s.headers = headers(string(text))
	return s
}

func headers(text string) map[string]int {
	lines := map[string]int{}
	for i, line := range strings.Split(text, "\n") {
		name, found := strings.CutPrefix(strings.TrimSpace(line), "[")
		name, closed := strings.CutSuffix(name, "]")
		if found && closed && lines[name] == 0 {
			lines[name] = i + 1
		}
	}
	return lines
}

// show returns a path by which the file can be opened.
func (s *subject) show(path string) string {
	if s.root == "" || path == draftPath {
		return path
	}
	return filepath.Join(s.root, path)
}

// template reports whether the unit is one, or an instance.
func (s *subject) template() bool { return strings.Contains(s.Name, "@") }

// expand replaces the specifiers of systemd.unit(5) that can be known from the
// unit's name.
func (s *subject) expand(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	stem := strings.TrimSuffix(s.Name, filepath.Ext(s.Name))
	prefix, instance, _ := strings.Cut(stem, "@")
	last := prefix[strings.LastIndexByte(prefix, '-')+1:]
	return strings.NewReplacer("%%", "%", "%i", instance, "%I", instance, "%n", s.Name, "%N", stem,
		"%p", prefix, "%P", prefix, "%j", last, "%J", last, "%t", "/run").Replace(text)
}

// instanced reports whether a value differs from one instance of a template to
// the next.
func instanced(value string) bool {
	return slices.ContainsFunc([]string{"%i", "%I", "%n", "%N"}, func(specifier string) bool {
		return strings.Contains(strings.ReplaceAll(value, "%%", ""), specifier)
	})
}

// serviceName returns the service that a socket starts.
func (s *subject) serviceName() string {
	if a, found := s.LastValid("Socket", nil, "Service"); found {
		return s.expand(a.Value)
	}
	stem := strings.TrimSuffix(s.Name, ".socket")
	if accept, _, _ := s.boolean("Socket", "Accept"); accept && !strings.HasSuffix(stem, "@") {
		return stem + "@.service"
	}
	return stem + ".service"
}

// text returns the value of a setting that takes any.
func (s *subject) text(section, name string) (value string, a unitfile.Assignment) {
	a, found := s.LastValid(section, nil, name)
	if !found {
		return "", a
	}
	return a.Value, a
}

func (s *subject) boolean(section, name string) (yes bool, a unitfile.Assignment, found bool) {
	a, found = s.LastValid(section, isBool, name)
	if found {
		yes, _ = unitfile.ParseBool(a.Value)
	}
	return yes, a, found
}

// choice returns a value that must be one of a list.
func (s *subject) choice(section, name string, values ...string) (value string, a unitfile.Assignment) {
	a, found := s.LastValid(section, func(value string) bool { return slices.Contains(values, value) }, name)
	if !found {
		return "", a
	}
	return a.Value, a
}

func (s *subject) span(section string, names ...string) (usec uint64, a unitfile.Assignment, found bool) {
	a, found = s.LastValid(section, isSpan, names...)
	if found {
		usec, _ = unitfile.ParseSpan(a.Value)
	}
	return usec, a, found
}

// number returns a whole number, or unitfile.Infinity.
func (s *subject) number(section, name string) (n uint64, a unitfile.Assignment, found bool) {
	a, found = s.LastValid(section, isNumber, name)
	if found {
		n, _ = parseNumber(a.Value)
	}
	return n, a, found
}

// related returns the units that a setting such as Wants= or Sockets= names. An
// empty value takes none of them back (config_parse_unit_deps,
// config_parse_service_sockets).
func (s *subject) related(section, setting string) []unitfile.Word {
	var words []unitfile.Word
	for _, a := range s.All(section, setting) {
		texts, _ := unitfile.Split(a.Value) // those before a fault
		for _, text := range texts {
			words = append(words, unitfile.Word{Text: text, From: a})
		}
	}
	return words
}

// listed reports whether the setting names the unit, and by which word, with
// its specifiers replaced.
func (s *subject) listed(section, setting, name string) (unitfile.Word, bool) {
	for _, word := range s.related(section, setting) {
		if s.expand(word.Text) == name {
			return word, true
		}
	}
	return unitfile.Word{}, false
}
