package printable_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/heirloom-go/heirloom/internal/printable"
)

func TestText(t *testing.T) {
	for text, want := range map[string][2]string{ // as it is shown, and in one line
		"":                                  {"", ""},
		"line 7: no such color: \"blau\"":   {"line 7: no such color: \"blau\"", "line 7: no such color: \"blau\""},
		"open conf\x00.yaml":                {"open conf\ufffd.yaml", "open conf\ufffd.yaml"},
		"first\r\nsecond\tthird\n":          {"first\nsecond\tthird\n", "first second third"},
		"\x1b[2J\x1b]0;title\a\u009b31m":    {"\ufffd[2J\ufffd]0;title\ufffd\ufffd31m", "\ufffd[2J\ufffd]0;title\ufffd\ufffd31m"},
		"\xff\xc3":                          {"\ufffd\ufffd", "\ufffd\ufffd"},
		"user\u202egnp.exe":                 {"user\ufffdgnp.exe", "user\ufffdgnp.exe"},
		"می\u200cخواهم":                     {"می\u200cخواهم", "می\u200cخواهم"},
		"a\u2028b\u0085c\v\fd":              {"a b c  d", "a b c d"},
		strings.Repeat("x", 1<<20):          {strings.Repeat("x", 4096) + "...", strings.Repeat("x", 1000) + "..."},
		"x" + strings.Repeat("ä", 1<<20):    {"x" + strings.Repeat("ä", 2047) + "...", "x" + strings.Repeat("ä", 499) + "..."},
		strings.Repeat("\x00\n", 3) + "end": {"\ufffd\n\ufffd\n\ufffd\nend", "\ufffd \ufffd \ufffd end"},
	} {
		if got := printable.Text(text); got != want[0] {
			t.Errorf("%.40q is shown as %.60q, want %.60q", text, got, want[0])
		}
		if got := printable.OneLine(text, 1000); got != want[1] {
			t.Errorf("%.40q is %.60q in one line, want %.60q", text, got, want[1])
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x00\x1b\n\xff")
	f.Fuzz(func(t *testing.T, text string) {
		shown, line := printable.Text(text), printable.OneLine(text, 1000)
		if !utf8.ValidString(shown) || strings.ContainsAny(shown, "\x00\x1b\r\a\b") {
			t.Errorf("%q is shown as %q", text, shown)
		}
		if !utf8.ValidString(line) || strings.ContainsAny(line, "\x00\x1b\r\n\t") || len(line) > 1003 {
			t.Errorf("%q is %q in one line", text, line)
		}
	})
}
