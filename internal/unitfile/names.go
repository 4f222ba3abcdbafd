package unitfile

import (
	"slices"
	"strings"
)

// types are those of unit_type_from_string.
var types = []string{"service", "mount", "swap", "socket", "target", "device", "automount", "timer", "path", "slice", "scope"}

// isUnitName is unit_name_is_valid.
func isUnitName(name string) bool {
	const most = 255
	stem, suffix := cutType(name)
	return stem != "" && stem[0] != '@' && len(name) <= most && slices.Contains(types, strings.TrimPrefix(suffix, ".")) &&
		!strings.ContainsFunc(stem, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune(`:-_.\@`, r)
		})
}

// cutType cuts off ".service" or what else a unit's name ends in.
func cutType(name string) (stem, suffix string) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return name, ""
	}
	return name[:dot], name[dot:]
}

// instanceOf returns "x" of "a@x.service", and nothing of "a@.service" and
// "a.service".
func instanceOf(name string) string {
	stem, _ := cutType(name)
	_, instance, _ := strings.Cut(stem, "@")
	return instance
}

// templateOf returns "a@.service" of "a@x.service".
func templateOf(name string) string {
	stem, suffix := cutType(name)
	prefix, _, _ := strings.Cut(stem, "@")
	return prefix + "@" + suffix
}

func isTemplate(name string) bool {
	stem, _ := cutType(name)
	return strings.IndexByte(stem, '@') == len(stem)-1 && stem != ""
}

// withInstance returns "a@x.service" for "a@.service" and "x". Other names, and
// any if there is no instance, stay as they are.
func withInstance(name, instance string) string {
	if !isTemplate(name) {
		return name
	}
	stem, suffix := cutType(name)
	return stem + instance + suffix
}

// mayAlias reports whether systemd takes a link from one name to the other for
// an alias (unit_validate_alias_symlink_or_warn): names of one type, both
// plain, or templates, or of the same instance; an instance may also lead to a
// template.
func mayAlias(from, to string) bool {
	_, fromType := cutType(from)
	_, toType := cutType(to)
	if from == to || fromType != toType || !isUnitName(from) || !isUnitName(to) ||
		!slices.Contains([]string{".service", ".socket", ".target", ".device", ".timer", ".path"}, fromType) {
		return false
	}
	instance := instanceOf(from)
	return instanceOf(to) == instance && isTemplate(to) == isTemplate(from) || instance != "" && isTemplate(to)
}

// dropInNames returns whose drop-ins count for a name, best first:
// a-b@i.service, a-b@.service, a-.service, a-@i.service and a-@.service, for
// instance (unit_file_find_dirs).
func dropInNames(name string) []string {
	names := []string{name}
	stem, suffix := cutType(name)
	prefix, instance, _ := strings.Cut(stem, "@")
	if instance != "" {
		names = append(names, dropInNames(prefix+"@"+suffix)...)
		suffix = "@" + instance + suffix
	}
	if shorter := cutDash(prefix); shorter != "" {
		names = append(names, dropInNames(shorter+suffix)...)
	}
	return unique(names)
}

// unique leaves out what comes again: those of the template do so for each
// instance of a shorter name.
func unique(names []string) []string {
	var first []string
	for _, name := range names {
		if !slices.Contains(first, name) {
			first = append(first, name)
		}
	}
	return first
}

// cutDash returns the prefix up to its last dash: "a-" of "a-b", and nothing of
// "a" and "-a". A dash at the end is not that one.
func cutDash(prefix string) string {
	dash := strings.LastIndexByte(strings.TrimSuffix(prefix, "-"), '-')
	if dash <= 0 {
		return ""
	}
	return prefix[:dash+1]
}
