package main

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// TestClean cleans what may come from a terminal, or from who means harm to
// one.
func TestClean(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"plain", "hello", "hello"},
		{"telnet", "hello\r", "hello"},
		{"blanks", "  hello there ", "hello there"},
		{"tab", "a\tb", "a b"},
		{"escape sequence", "\x1b[2Jhello", "[2Jhello"},
		{"its short form", "\u009b2Jhello", "2Jhello"},
		{"delete", "hel\x7flo", "hello"},
		{"not UTF-8", "h\xffllo", "h?llo"},
		{"other scripts", "грүц 👋", "грүц 👋"},
		{"nothing", " \r", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := clean(tt.line); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzClean sees to it that nothing is left but text.
func FuzzClean(f *testing.F) {
	f.Add("\x1b]0;title\a")
	f.Fuzz(func(t *testing.T, line string) {
		got := clean(line)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) || clean(got) != got {
			t.Errorf("%q is made %q", line, got)
		}
	})
}
