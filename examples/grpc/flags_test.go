package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseFlags(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"none", `{}`, ""},
		{"two", `{"flags": [{"name": "b", "percent": 100}, {"name": "a"}]}`, ""},
		{"empty file", ``, "unexpected token"},
		{"unknown field", `{"flags": [{"name": "a", "percentage": 1}]}`, `unknown field "percentage"`},
		{"more after it", `{} {}`, "unexpected token"},
		{"revision", `{"revision": "a"}`, "the revision is computed"},
		{"no name", `{"flags": [{"percent": 1}]}`, "a flag has no name"},
		{"twice", `{"flags": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}`, `flag "a" is there twice`},
		{"too much", `{"flags": [{"name": "a", "percent": 101}]}`, `flag "a" is on for 101 percent`},
		{"negative", `{"flags": [{"name": "a", "percent": -1}]}`, "invalid value for uint32"},
		{"null", `{"flags": [null]}`, "unexpected token null"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := parseFlags([]byte(tt.text))
			switch {
			case tt.want == "" && (err != nil || set.GetRevision() == ""):
				t.Errorf("%v, %v", set, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("the error is %v, want %s", err, tt.want)
			}
		})
	}
}

func FuzzParseFlags(f *testing.F) {
	f.Add([]byte(file(7)))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := parseFlags(text)
		if err != nil {
			return
		}
		for _, flag := range set.GetFlags() {
			if found := find(set, flag.GetName()); found != flag || found.GetPercent() > 100 {
				t.Errorf("%v is found as %v", flag, found)
			}
		}
	})
}

// TestRevision is the same for the same flags, in whatever order, also in
// programs to come: a change would tell all watchers once more what they know.
func TestRevision(t *testing.T) {
	for _, text := range []string{
		`{"flags": [{"name": "new", "percent": 7}, {"name": "old", "percent": 100}]}`,
		`{"flags": [{"percent": 100, "name": "old"}, {"name": "new", "percent": 7}]}`,
	} {
		set, err := parseFlags([]byte(text))
		if err != nil || set.GetRevision() != "5add05b2c0e8" {
			t.Errorf("the revision is %s, %v", set.GetRevision(), err)
		}
	}
}

// TestIsOn has users stay when a flag is switched on for more of them, about as
// many as it says.
func TestIsOn(t *testing.T) {
	const users = 1000
	var was [users]bool
	for percent := range 101 {
		set, err := parseFlags([]byte(file(percent)))
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for user := range users {
			on := isOn(find(set, "new"), fmt.Sprint("user", user))
			if was[user] && !on {
				t.Errorf("user %d is off again at %d percent", user, percent)
			}
			if was[user] = on; on {
				count++
			}
		}
		if diff := count - percent*users/100; diff < -50 || diff > 50 || percent%100 == 0 && diff != 0 {
			t.Errorf("%d of %d users are on at %d percent", count, users, percent)
		}
	}
}
