package stderrlog

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// TestPriorities has a priority before each line of an entry, as the journal
// reads them.
func TestPriorities(t *testing.T) {
	for level, want := range map[hclog.Level]string{hclog.Error: "<3>", hclog.Warn: "<4>", hclog.Info: "<6>"} {
		var out bytes.Buffer
		newLogger("daemon", &out, true).Log(level, "said", "stacks", "one\ntwo")
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) < 3 {
			t.Errorf("%v: %q has no line for each of the text", level, &out)
		}
		for _, line := range lines {
			if !strings.HasPrefix(line, want) {
				t.Errorf("%v: line %q, want %s before it", level, line, want)
			}
		}
		if !strings.Contains(lines[0], want+"["+strings.ToUpper(level.String())) {
			t.Errorf("%v: %q has a time as well", level, lines[0])
		}
	}
}

// TestPlain has no priority where something else reads the log.
func TestPlain(t *testing.T) {
	var out bytes.Buffer
	log := newLogger("daemon", &out, false)
	log.Warn("said")
	log.Debug("not said")
	if text := out.String(); strings.Contains(text, "<") || !strings.HasSuffix(text, "[WARN]  daemon: said\n") || strings.Index(text, "[WARN]") == 0 {
		t.Errorf("wrote %q, want a time, the level and the text", text)
	}
}

func TestError(t *testing.T) {
	for isJournal, want := range map[bool]string{false: "daemon: one\ntwo\n", true: "<3>daemon: one\n<3>two\n"} {
		var out bytes.Buffer
		writeError("daemon", errors.Join(errors.New("one"), errors.New("two")), &out, isJournal)
		if out.String() != want {
			t.Errorf("wrote %q, want %q", &out, want)
		}
	}
}
