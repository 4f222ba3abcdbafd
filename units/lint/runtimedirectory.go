package lint

import (
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// A runtimeDirectory is one that systemd makes below /run for as long as the
// service runs.
type runtimeDirectory struct {
	name  string
	link  string // that is to lead to it, or ""
	flags string // such as ":ro"
	word  unitfile.Word
}

// runtimeDirectories are those of RuntimeDirectory=, which has words such as
// NAME, NAME:LINK and NAME:LINK:FLAGS. Specifiers are as they stand.
func (s *subject) runtimeDirectories() []runtimeDirectory {
	var all []runtimeDirectory
	words, _ := s.Words("Service", "RuntimeDirectory")
	for _, word := range words {
		d := runtimeDirectory{word: word}
		name, rest, _ := strings.Cut(word.Text, ":")
		d.name = name
		d.link, d.flags, _ = strings.Cut(rest, ":")
		if d.flags != "" {
			d.flags = ":" + d.flags
		}
		all = append(all, d)
	}
	return all
}

// text is the word that makes the directory.
func (d runtimeDirectory) text() string {
	if d.link == "" && d.flags == "" {
		return d.name
	}
	return d.name + ":" + d.link + d.flags
}

// preserved reports whether the directories outlive the service.
func (s *subject) preserved() bool {
	preserve, _ := s.text("Service", "RuntimeDirectoryPreserve")
	kept, err := unitfile.ParseBool(preserve)
	return err == nil && kept
}

var ruleRuntimeDirectoryShared = Rule{
	ID: "runtime-directory-shared", Severity: Error,
	Title: "instances share a runtime directory",
	Why: "systemd removes the directories of RuntimeDirectory= when a service stops. If all instances of a " +
		"template have the same one, the stop or restart of one instance removes the control sockets of the " +
		"others, which then cannot be reloaded. Of two running instances the second takes the first one's socket, " +
		"and a reload reaches the wrong instance. RuntimeDirectory=NAME:LINK also makes a symbolic link. If " +
		"instances have directories of their own and the same link, the second one does not start, since the link " +
		"leads elsewhere (\"File exists\").",
	Bad:       "[Service]\nRuntimeDirectory=hello",
	Good:      "[Service]\nRuntimeDirectory=hello-%i",
	Reference: "systemd.exec(5)",
}

func checkRuntimeDirectoryShared(i *inspection, s *subject) {
	if !s.template() {
		return
	}
	for _, d := range s.runtimeDirectories() {
		why := ""
		if d.link != "" && !instanced(d.link) {
			d.link += "-%i"
			why = "the second instance does not start, since the link leads to the directory of the first"
		}
		if !instanced(d.name) && !s.preserved() {
			d.name += "-%i"
			why = "the stop of one instance removes the control socket of all"
		}
		if d.link == d.name {
			d.link = "" // has become needless, and cannot be made
		}
		if why != "" {
			i.at(s, d.word.From, remark{why: why, use: "RuntimeDirectory=" + replaceWord(d.word.From.Value, d.word.Text, d.text())})
		}
	}
}
