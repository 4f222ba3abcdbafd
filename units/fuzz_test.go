package units_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/unitfile"
	"github.com/heirloom-go/heirloom/units"
)

// A hole is a field that takes a string. Benign is a value that it takes.
type hole struct {
	field, benign string
	fill          func(s *units.Service, value string)
	varies        []string // settings that there may be more of, or fewer, with another value
	// word is the setting of which the value is to be a word, in which section;
	// else it is to be the whole.
	word string
}

func holes() []hole {
	listen := []string{"ListenStream", "ListenDatagram", "ListenSequentialPacket"}
	return []hole{
		{field: "Name", benign: "a", fill: func(s *units.Service, v string) { s.Name = v }},
		{field: "Description", benign: "a", fill: func(s *units.Service, v string) { s.Description = v }},
		{field: "Documentation", benign: "man:a", fill: func(s *units.Service, v string) { s.Documentation = []string{v} }, word: "Documentation"},
		{field: "Program", benign: "/a", fill: func(s *units.Service, v string) { s.Program = v }, word: "ExecStart"},
		{field: "Args", benign: "a", fill: func(s *units.Service, v string) { s.Args = []string{"first", v, "last"} }, word: "ExecStart"},
		{field: "ReloadArgs", benign: "a", fill: func(s *units.Service, v string) { s.ReloadArgs = []string{v} }, word: "ExecReload"},
		{field: "Environment", benign: "A=a", fill: func(s *units.Service, v string) { s.Environment = []string{v} }, word: "Environment"},
		{field: "EnvironmentFiles", benign: "/a", fill: func(s *units.Service, v string) { s.EnvironmentFiles = []string{v} }},
		{field: "User", benign: "a", fill: func(s *units.Service, v string) { s.User = v }, word: "User"},
		{field: "Group", benign: "a", fill: func(s *units.Service, v string) { s.Group = v }, word: "Group"},
		{field: "StateDirectory", benign: "a", fill: func(s *units.Service, v string) { s.StateDirectory = []string{v} }, word: "StateDirectory"},
		{field: "ReadWritePaths", benign: "/a", fill: func(s *units.Service, v string) { s.ReadWritePaths = []string{v} }, varies: []string{"ReadWritePaths", "BindPaths"}},
		{field: "Devices", benign: "/dev/a", fill: func(s *units.Service, v string) { s.Devices = []string{v} }, word: "DeviceAllow"},
		{field: "Capabilities", benign: "CAP_A", fill: func(s *units.Service, v string) { s.Capabilities = []string{v} }, varies: []string{"SystemCallFilter"}, word: "AmbientCapabilities"},
		{field: "SystemCalls", benign: "a", fill: func(s *units.Service, v string) { s.SystemCalls = []string{v} }, word: "SystemCallFilter"},
		{field: "Settings", benign: "a", fill: func(s *units.Service, v string) {
			s.Settings = []units.Setting{{Section: "Service", Name: "Nice", Value: v}}
		}},
		{field: "Name", benign: "a", fill: func(s *units.Service, v string) { s.Sockets[0].Name = v }},
		{field: "Addresses", benign: ":80", fill: func(s *units.Service, v string) { s.Sockets[0].Addresses = []string{v} }, varies: listen},
		{field: "User", benign: "a", fill: func(s *units.Service, v string) { s.Sockets[0].User = v }, word: "SocketUser"},
		{field: "Group", benign: "a", fill: func(s *units.Service, v string) { s.Sockets[0].Group = v }, word: "SocketGroup"},
		{field: "Settings", benign: "a", fill: func(s *units.Service, v string) {
			s.Sockets[0].Settings = []units.Setting{{Section: "Socket", Name: "Mark", Value: v}}
		}},
	}
}

func (h hole) render(value string) ([]units.File, error) {
	s := units.Service{
		Name: "name", Program: "/usr/bin/name", User: "user", ReadWritePaths: []string{"/srv"},
		Sockets: []units.Socket{{Name: "socket", Addresses: []string{":80%i"}}},
	}
	h.fill(&s, value)
	return s.Render(units.Oldest)
}

// settings counts the assignments of each setting in units, and the lines of
// other files by their path's folder. A second result is what the words of a
// setting are.
func (h hole) settings(t *testing.T, files []units.File) (counts map[string]int, words []string) {
	t.Helper()
	counts = map[string]int{}
	for _, file := range files {
		if strings.HasSuffix(file.Path, ".conf") {
			counts[file.Path[:len("/usr/lib/sysusers")]] += strings.Count(file.Text, "\n")
			continue
		}
		parsed := unitfile.Parse(file.Path, file.Text)
		if len(parsed.Problems) > 0 {
			t.Errorf("%s: %v in\n%s", h.field, parsed.Problems, file.Text)
		}
		for _, a := range parsed.Assignments {
			if !slices.Contains(h.varies, a.Name) {
				counts[a.Section+"."+a.Name]++
			}
			if a.Name == h.word {
				split, err := unitfile.Split(a.Value)
				if err != nil {
					t.Errorf("%s: %v", h.field, err)
				}
				words = append(words, split...)
			} else {
				words = append(words, a.Value)
			}
		}
	}
	return counts, words
}

// FuzzRender fills each field with the same text: either it is refused, or it
// is found in the units that are rendered, as what it was meant to be, and
// nothing else has come of it.
func FuzzRender(f *testing.F) {
	for _, text := range append(hard(), "a", "a\nExecStartPre=/bin/b", "a\\", "\"", "'", "a\n[Service]\nNice=1", " a ", "\ufeff", "a\u00a0", ";", "#",
		"A=a\nB=b", `A=\x41"`, "/a", `/a\`, "/a b", "/home/a", "/dev/a\nb", ":80", "@a b", "/a b", "%", "%%", "a,b", "A='", "man:a", "man:a%20b") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" {
			return // fewer lines
		}
		for _, h := range holes() {
			files, err := h.render(text)
			if err != nil {
				var invalid *units.Error
				if !errors.Is(err, units.ErrInvalid) || !errors.As(err, &invalid) || invalid.Field != h.field {
					t.Errorf("%s: %v", h.field, err)
				}
				continue
			}
			benign, err := h.render(h.benign)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := h.settings(t, benign)
			got, words := h.settings(t, files)
			if h.field == "Group" && (text == "user" || text == "root") || h.field == "ReadWritePaths" {
				continue // fewer lines
			}
			if !maps.Equal(got, want) {
				t.Errorf("%s %q: there are %v, want %v", h.field, text, got, want)
			}
			if h.field == "Name" || h.field == "Addresses" {
				continue // part of others
			}
			if !slices.Contains(words, text) && !slices.Contains(words, strings.Trim(text, " \t")) {
				t.Errorf("%s: %q is not in\n%s", h.field, text, files[0].Text)
			}
			if hash, held := units.Hash(files[0].Text); hash != held {
				t.Errorf("%s %q: the hash is %s, and %s is held", h.field, text, hash, held)
			}
		}
	})
}
