package manager_test

import (
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/manager"
)

func TestAssignments(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", ""},
		{"plain", "[Service]\nA=1\nB=2\n", "A=1 B=2"},
		{"no end of line", "[Service]\nA=1", "A=1"},
		{"other ends of lines", "[Service]\r\nA=1\rB=2\x00C=3\r\n", "A=1 B=2 C=3"},
		{"whitespace", " \t[Service] \n\t A \t=\t 1 \t\n", "A=1"},
		{"twice", "[Service]\nA=1\nA=2\n[Unit]\nA=3\n[Service]\nA=\n", "A=1 A=2 A="},
		{"no section", "A=1\n[Service]\nB=2", "B=2"},
		{"other section", "[service]\nA=1\n[X-Service]\nA=2\n[Service ]\nA=3", ""},
		{"comments", "[Service]\n#A=1\n;A=2\n  # A=3 \\\nA=4\n", "A=4"},
		{"goes on", "[Service]\nA=1\\\n2\\\n# no\\\n ; no\n  3\nB=4", "A=1 2   3 B=4"},
		{"goes on and ends", "[Service]\nA=1\\\n\nB=2\\", "A=1 B=2"},
		{"backslashes", "[Service]\nA=1\\\\\nB=2\\\\\\\n3", `A=1\\ B=2\\ 3`},
		{"goes on over a header", "[Service]\nA=1\\\n[Unit]\nB=2", "A=1 [Unit] B=2"},
		{"no header", "[Service]\nA=1\n[Service\nA=2", "A=1"},
		{"no assignment", "[Service]\nA\n=1\nB=2", "=1 B=2"},
		{"mark", "\ufeff[Service]\nA=1", "A=1"},
		{"no UTF-8", "[Service]\nA=\xff\nB=2", "B=2"},
		{"equal signs", "[Service]\nA=B=C", "A=B=C"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for key, value := range manager.Assignments(test.text, "Service") {
				got = append(got, key+"="+value)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func FuzzAssignments(f *testing.F) {
	f.Add("[Service]\nA=1\\\n# no\n2\r\n[Unit]\n")
	f.Fuzz(func(t *testing.T, text string) {
		for key, value := range manager.Assignments(text, "Service") {
			if strings.ContainsAny(key, "=\n\r\x00") || strings.ContainsAny(value, "\n\r\x00") || strings.TrimSpace(key) != key && strings.Trim(key, " \t") != key {
				t.Errorf("%q = %q", key, value)
			}
		}
	})
}
