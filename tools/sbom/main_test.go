package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestModules has the modules of this checkout: all that go.mod requires
// directly are among them.
func TestModules(t *testing.T) {
	t.Chdir("../..")
	own, needed, err := modules()
	if err != nil || own != "github.com/heirloom-go/heirloom" {
		t.Fatalf("%q, %v", own, err)
	}
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	direct := 0
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if !strings.HasPrefix(line, "\t") || len(fields) != 2 {
			continue
		}
		direct++
		if module := fields[0] + "@" + fields[1]; !slices.Contains(needed, module) {
			t.Errorf("%s is missing: %q", module, needed)
		}
	}
	if direct == 0 || len(needed) < direct {
		t.Errorf("go.mod requires %d, and %q are needed", direct, needed)
	}
}

// TestCompare has bills that are right, and those that are not.
func TestCompare(t *testing.T) {
	needed := []string{"example.com/a@v1.0.0", "example.com/b@v2.0.0"}
	for _, test := range []struct {
		named []string
		want  []string
	}{
		{[]string{"example.com/b@v2.0.0", "example.com/a@v1.0.0"}, nil},
		{[]string{"example.com/a@v1.0.0"}, []string{"example.com/b@v2.0.0 is needed, and not named"}},
		{[]string{"example.com/a@v1.0.0", "example.com/a@v1.0.0", "example.com/b@v2.0.0"}, []string{"example.com/a@v1.0.0 is named twice"}},
		{[]string{"example.com/a@v1.0.0", "example.com/b@v2.0.0", "example.com/c@v3.0.0"}, []string{"example.com/c@v3.0.0 is named, and no package needs it"}},
		{[]string{"example.com/a@v1.0.0", "example.com/b@v2.0.1"}, []string{
			"example.com/b@v2.0.1 is named, and no package needs it", "example.com/b@v2.0.0 is needed, and not named"}},
	} {
		text := ""
		if err := compare(test.named, needed); err != nil {
			text = err.Error()
		}
		if want := strings.Join(test.want, "\n"); text != want {
			t.Errorf("%q: %q, want %q", test.named, text, want)
		}
	}
}

// TestParse has a bill, and what is none.
func TestParse(t *testing.T) {
	main, named, err := parse([]byte(`{"bomFormat": "CycloneDX", "metadata": {"component": {"name": "example.com/m"}},
		"components": [{"name": "example.com/a", "version": "v1.0.0", "purl": "pkg:golang/example.com/a@v1.0.0"}]}`))
	if err != nil || main != "example.com/m" || !slices.Equal(named, []string{"example.com/a@v1.0.0"}) {
		t.Errorf("%q, %q, %v", main, named, err)
	}
	for _, text := range []string{"", "{}", `{"bomFormat": "SPDX"}`, `{"bomFormat": "CycloneDX", "components": "none"}`} {
		if _, _, err := parse([]byte(text)); err == nil {
			t.Errorf("%q is taken for a bill", text)
		}
	}
	if err := run(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file is taken for a bill")
	}
}
