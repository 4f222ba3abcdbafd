package unitfile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

const mebibyte = 1 << 20

// texts are files, with what they assign as line:Section.Name=Value, and the
// lines of their problems, of which the last may be fatal.
var texts = []struct {
	name, text, want, problems string
}{
	{"empty", "", "", ""},
	{"plain", "[Unit]\nDescription=1\nX-A=2\n", "2:Unit.Description=1 3:Unit.X-A=2", ""},
	{"no-end-of-line", "[Unit]\nDescription=1", "2:Unit.Description=1", ""},
	{"other-ends", "[Unit]\r\nDescription=1\rX-A=2\x00X-A=3\r\n", "2:Unit.Description=1 3:Unit.X-A=2 4:Unit.X-A=3", ""},
	{"ends-together", "[Unit]\n\rDescription=1\\\n\r2\\\r\n\x003\\\n\x004", "2:Unit.Description=1 2 3 4", ""},
	{"ends-apart", "[Unit]\nDescription=1\\\n\n2", "2:Unit.Description=1", "4"},
	{"ends-after-nul", "[Unit]\nDescription=1\\\x00\n2", "2:Unit.Description=1", "4"},
	{"whitespace", " \t[Unit] \n\t Description \t=\t 1 \t\n", "2:Unit.Description=1", ""},
	{"other-whitespace", "[Unit]\n\vDescription=1\nDescription=2\v\n", "2:Unit.\vDescription=1 3:Unit.Description=2\v", ""},
	{"twice", "[Unit]\nDescription=1\n[Service]\nRestart=no\n[Unit]\nDescription=\n", "2:Unit.Description=1 4:Service.Restart=no 6:Unit.Description=", ""},
	{"outside", "Description=1\n[Unit]\nDescription=2", "3:Unit.Description=2", "1"},
	{"other-section", "[unit]\nA=1\n[X-Unit]\nDescription=2\n=3\n4\n[Unit ]\nA=3\n[Unit]\nDescription=4",
		"2:unit.A=1 4:X-Unit.Description=2 8:Unit .A=3 10:Unit.Description=4", ""},
	{"comments", "[Unit]\n#Description=1\n;Description=2\n  # Description=3 \\\nDescription=4\n", "5:Unit.Description=4", ""},
	{"goes-on", "[Unit]\nDescription=1\\\n2\\\n# no\\\n ; no\n  3\nX-B=4", "2:Unit.Description=1 2   3 7:Unit.X-B=4", ""},
	{"goes-on-and-ends", "[Unit]\nDescription=1\\\n\nX-B=2\\", "2:Unit.Description=1 4:Unit.X-B=2", ""},
	{"goes-on-after-nothing", "[Unit]\n\\\nDescription=1\\\n#\n", "2:Unit.Description=1", ""},
	{"goes-on-in-the-name", "[Unit]\nX-\\\nA=1", "2:Unit.X- A=1", ""},
	{"backslashes", "[Unit]\nDescription=1\\\\\nDescription=2\\\\\\\n3", `2:Unit.Description=1\\ 3:Unit.Description=2\\ 3`, ""},
	{"goes-on-over-a-header", "[Unit]\nDescription=1\\\n[Service]\nX-B=2", "2:Unit.Description=1 [Service] 4:Unit.X-B=2", ""},
	{"header-goes-on", "[Unit]\nDescription=1\n[Uni\\\nt]\nDescription=2", "2:Unit.Description=1 5:Uni t.Description=2", ""},
	{"open-header", "[Unit]\nDescription=1\n[Service\nDescription=2", "2:Unit.Description=1", "3 fatal"},
	{"half-a-header", "[Unit]\nDescription=1\n[\nDescription=2", "2:Unit.Description=1", "3 fatal"},
	{"empty-header", "[Unit]\nDescription=1\n[]\nDescription=2", "2:Unit.Description=1", "3 fatal"},
	{"quote-in-a-header", "[Unit]\nDescription=1\n[Uni't]\nDescription=2", "2:Unit.Description=1", "3 fatal"},
	{"control-in-a-header", "[Unit]\nDescription=1\n[Uni\tt]\nDescription=2", "2:Unit.Description=1", "3 fatal"},
	{"no-assignment", "[Unit]\nDescription\n=1\n == \nDescription=2", "5:Unit.Description=2", "2 3 4"},
	{"mark", "\ufeff[Unit]\nDescription=1", "2:Unit.Description=1", ""},
	{"late-mark", "[Unit]\n\ufeffDescription=1\n\ufeffDescription=2", "2:Unit.Description=1 3:Unit.\ufeffDescription=2", ""},
	{"mark-before-a-comment", "\ufeff#\n[Unit]\nDescription=1", "3:Unit.Description=1", "1"},
	{"no-utf8", "[Unit]\nDescription=1\nX-A=\xff\nDescription=2", "2:Unit.Description=1", "3 fatal"},
	{"no-utf8-in-a-comment", "[Unit]\nDescription=1\n#\xff\nDescription=2", "2:Unit.Description=1 4:Unit.Description=2", ""},
	{"no-character", "[Unit]\nDescription=1\nX-A=\ufdd0\nDescription=2", "2:Unit.Description=1", "3 fatal"},
	{"no-character-either", "[Unit]\nDescription=1\nX-A=\U0001ffff\nDescription=2", "2:Unit.Description=1", "3 fatal"},
	{"control", "[Unit]\nDescription=1\x01\x7f", "2:Unit.Description=1\x01\x7f", ""},
	{"equal-signs", "[Unit]\nDescription=A=B", "2:Unit.Description=A=B", ""},
	{"longest", "[Unit]\n#" + strings.Repeat("a", mebibyte-2) + "\nDescription=1", "3:Unit.Description=1", ""},
	{"too-long", "[Unit]\nDescription=1\n#" + strings.Repeat("a", mebibyte-1) + "\nDescription=2", "2:Unit.Description=1", "3 fatal"},
	{"too-long-in-all", "[Unit]\nDescription=1\nX-A=\\\n" + strings.Repeat("a", mebibyte-6) + "\\\n1\nDescription=2", "2:Unit.Description=1", "5 fatal"},
}

func TestParse(t *testing.T) {
	for _, test := range texts {
		t.Run(test.name, func(t *testing.T) {
			f := unitfile.Parse("/a", test.text)
			if got := describe(t, f.Assignments); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			var problems []string
			for _, p := range f.Problems {
				problem := fmt.Sprint(p.Line)
				if p.Fatal {
					problem += " fatal"
				}
				problems = append(problems, problem)
				if !strings.HasPrefix(p.String(), fmt.Sprintf("/a:%d: ", p.Line)) || p.Text == "" || len(p.String()) > 200 {
					t.Errorf("problem %q", p)
				}
			}
			if strings.Join(problems, " ") != test.problems || f.Path != "/a" {
				t.Errorf("problems %v of %s, want %q", f.Problems, f.Path, test.problems)
			}
		})
	}
}

func describe(t *testing.T, assignments []unitfile.Assignment) string {
	var got []string
	for _, a := range assignments {
		if a.Path != "/a" {
			t.Errorf("%+v is not of /a", a)
		}
		got = append(got, fmt.Sprintf("%d:%s.%s=%s", a.Line, a.Section, a.Name, a.Value))
	}
	return strings.Join(got, " ")
}

// TestManyLines has a line that goes on a hundred thousand times. It would take
// minutes to look at it from its beginning each time.
func TestManyLines(t *testing.T) {
	f := unitfile.Parse("/a", "[Unit]\nDescription="+strings.Repeat("\\\n", 100_000)+"1")
	if len(f.Assignments) != 1 || f.Assignments[0].Value != "1" || f.Assignments[0].Line != 2 {
		t.Errorf("%v", f)
	}
}

func FuzzParse(f *testing.F) {
	for _, test := range texts {
		if len(test.text) < 1000 {
			f.Add(test.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		file := unitfile.Parse("/a", text)
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\x00") + 1
		written, last := "", 0
		for _, a := range file.Assignments {
			if a.Line <= last || a.Line > lines {
				t.Errorf("line %d of %d, after %d", a.Line, lines, last)
			}
			last = a.Line
			written += fmt.Sprintf("[%s]\n%s = %s\n", a.Section, a.Name, a.Value)
		}
		for i, p := range file.Problems {
			if p.Line > lines || p.Fatal && i != len(file.Problems)-1 {
				t.Errorf("problem %v of %d lines", p, lines)
			}
		}
		again := unitfile.Parse("/a", written)
		if !sameText(file.Assignments, again.Assignments) {
			t.Errorf("%q reads %+v, and written anew %+v", text, file, again)
		}
	})
}

// sameText compares all but the lines. A name or value that would be read as
// something else than it is makes all the rest differ.
func sameText(a, b []unitfile.Assignment) bool {
	for i, x := range a {
		if strings.HasPrefix(x.Name, "\ufeff") || goesOnAgain(x) || strings.HasPrefix(x.Name, "[") || strings.ContainsAny(x.Name[:min(1, len(x.Name))], "#;") {
			return true
		}
		if i >= len(b) {
			return false
		}
		y := b[i]
		if x.Line, y.Line = 0, 0; x != y {
			return false
		}
	}
	return len(a) == len(b)
}

// goesOnAgain is the last line of a file that ends amid a line.
func goesOnAgain(a unitfile.Assignment) bool {
	return (len(a.Value)-len(strings.TrimRight(a.Value, `\`)))%2 == 1
}
