package lint_test

import (
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/units/lint"
)

func FuzzCheck(f *testing.F) {
	for _, u := range handWritten {
		f.Add(u.service, u.socket)
	}
	for _, r := range lint.Rules() {
		f.Add(r.Bad, r.Good)
		f.Add(r.Good, r.Bad)
	}
	f.Add("[Service]\nExecStart=@-/bin/sh -c\nExecStop=; ; \\;\nExecReload='\nSockets=%\nSystemCallFilter=~\nExecPaths=- +", "[Socket]\nListenStream=:\nListenStream=/\n")
	options := lint.Options{Systemd: 257, Daemon: lint.Daemon{Drain: time.Minute, Memory: 1 << 30, Tasks: 100, Sockets: []string{"http", "admin"}}}
	f.Fuzz(func(t *testing.T, service, socket string) {
		findings := lint.CheckTexts(options, service, socket)
		lines := map[string]int{"hello.service": count(service), "hello.socket": count(socket)}
		for _, f := range findings {
			if f.Line < 1 || f.Line > lines[f.Path] {
				t.Errorf("line %d of %d: %s", f.Line, lines[f.Path], f)
			}
			if strings.Contains(f.Why, "\n") || f.Rule == "" || f.Use == "-" || f.Use == "?" || f.Use != "" && f.Remove {
				t.Errorf("%q", f)
			}
		}
	})
}

// count returns how many lines a text has, as systemd reads them: NUL and
// carriage return end one too.
func count(text string) int {
	return 1 + strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\x00")
}
