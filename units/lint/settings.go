package lint

import (
	_ "embed"
	"strconv"
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

//go:embed settings.txt
var settingsText string

// settings have the version that each setting came with, by section.
type settings map[string]map[string]int

// knownSettings reads settings.txt, which says where they are from.
func knownSettings() settings {
	known := settings{}
	for line := range strings.Lines(settingsText) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] == "#" {
			continue
		}
		section, names := words[0], words[2:]
		version, _ := strconv.Atoi(words[1]) // the tests look at the file
		if known[section] == nil {
			known[section] = map[string]int{}
		}
		for _, name := range names {
			known[section][name] = version
		}
	}
	return known
}

// since returns the version that brought a setting: 252 for that one and all
// before it, and 0 if there is none.
func (k settings) since(section, name string) int { return k[section][name] }

// elsewhere returns another section of the unit that knows the setting, or "".
func (k settings) elsewhere(s *subject, a unitfile.Assignment) string {
	for _, section := range s.sections() {
		if section != a.Section && k.since(section, a.Name) > 0 {
			return section
		}
	}
	return ""
}

// nearest returns the setting whose name differs by so little that it is
// probably meant, or "".
func (k settings) nearest(section, name string) string {
	best, least := "", min(2, len(name)/3)+1
	for known := range k[section] {
		d := distance(strings.ToLower(known), strings.ToLower(name))
		if d < least || d == least && known < best {
			best, least = known, d
		}
	}
	return best
}

// distance counts the letters to change, leave out or add (Levenshtein).
func distance(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return len(a) + len(b)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
