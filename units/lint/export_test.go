package lint

import "github.com/heirloom-go/heirloom/internal/unitfile"

// CheckTexts lints a service and its socket as if they were files of those
// texts in a folder.
func CheckTexts(options Options, service, socket string) []Finding {
	one, two := ofText("hello.service", service), ofText("hello.socket", socket)
	return sorted(inspect(options, knownSettings(), group{service: one, sockets: []*subject{two}}))
}

func ofText(name, text string) *subject {
	f := unitfile.Parse(name, text)
	u := &unitfile.Unit{Name: name, Paths: []string{name}, Assignments: f.Assignments, Problems: f.Problems}
	return &subject{Unit: u, section: sectionOf(name), headers: headers(text)}
}

// KnownSettings counts the settings of each section that came with a version.
func KnownSettings() map[string]map[string]int { return knownSettings() }
