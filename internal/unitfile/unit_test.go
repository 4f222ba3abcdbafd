package unitfile_test

import (
	"slices"
	"testing"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

func parsed(text string) *unitfile.Unit {
	f := unitfile.Parse("/a", text)
	return &unitfile.Unit{Assignments: f.Assignments}
}

func TestLast(t *testing.T) {
	u := parsed("[Service]\nTimeoutStopSec=1\nTimeoutSec=2\n[X-Service]\nTimeoutStopSec=3\n[Service]\nRestart=no\nRestart=\n")
	tests := []struct {
		section string
		names   []string
		line    int
	}{
		{"Service", []string{"TimeoutStopSec", "TimeoutSec"}, 3},
		{"Service", []string{"TimeoutStopSec"}, 2},
		{"X-Service", []string{"TimeoutStopSec", "TimeoutSec"}, 5},
		{"Service", []string{"Restart"}, 8},
		{"Unit", []string{"Restart"}, 0},
		{"Service", nil, 0},
	}
	for _, test := range tests {
		if a, found := u.Last(test.section, test.names...); a.Line != test.line || found != (test.line > 0) {
			t.Errorf("%s %v: %+v, %v, want line %d", test.section, test.names, a, found, test.line)
		}
	}
	if all := u.All("Service", "TimeoutSec", "TimeoutStopSec"); len(all) != 2 || all[0].Line != 2 {
		t.Errorf("all are %+v", all)
	}
}

func TestLastValid(t *testing.T) {
	u := parsed("[Socket]\nReusePort=yes\nReusePort=maybe\nBacklog=1\nBacklog=\nBacklog=many\n")
	valid := func(value string) bool { return value == "yes" || value == "1" }
	if a, found := u.LastValid("Socket", valid, "ReusePort"); !found || a.Line != 2 {
		t.Errorf("%+v, %v, want line 2", a, found)
	}
	if a, found := u.LastValid("Socket", nil, "ReusePort"); !found || a.Line != 3 {
		t.Errorf("%+v, %v, want line 3", a, found)
	}
	if a, found := u.LastValid("Socket", valid, "Backlog"); found || a.Line != 5 {
		t.Errorf("%+v, %v, want none since line 5", a, found)
	}
}

func TestList(t *testing.T) {
	u := parsed("[Service]\nExecReload=a\nExecReload=\nExecReload=b\nExecReload=c\n[Unit]\nExecReload=\n")
	if list := u.List("Service", "ExecReload"); len(list) != 2 || list[0].Line != 4 || list[1].Value != "c" {
		t.Errorf("%+v, want b and c", list)
	}
	if list := u.List("Unit", "ExecReload"); list != nil {
		t.Errorf("%+v, want none", list)
	}
}

func TestWords(t *testing.T) {
	u := parsed("[Service]\nEnvironment=A=0\nEnvironment=\nEnvironment=\"A=1 2\" B=3\nEnvironment=C=4 'D=\nEnvironment=\"\"\n")
	words, problems := u.Words("Service", "Environment")
	var got []string
	for _, w := range words {
		got = append(got, w.Text)
	}
	if want := []string{"A=1 2", "B=3", "C=4", ""}; !slices.Equal(got, want) || words[1].From.Line != 4 || words[2].From.Line != 5 {
		t.Errorf("%+v, want %q", words, want)
	}
	if len(problems) != 1 || problems[0].Line != 5 || problems[0].Path != "/a" {
		t.Errorf("problems %v, want one in line 5", problems)
	}
}
