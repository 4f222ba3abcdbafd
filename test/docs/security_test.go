package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	namedTest  = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`")
	testsThere = regexp.MustCompile("((?:`(?:Test|Fuzz)[A-Z]\\w*`(?:, | and )?)+) in \\[[^\\]]*\\]\\(\\.\\./([^)]*)\\)")
)

// TestSecurity looks up the tests that the page says its claims are shown by.
func TestSecurity(t *testing.T) {
	text := read(t, "security.md")
	n := 0
	for _, parts := range testsThere.FindAllStringSubmatch(text, -1) {
		sources := testSources(t, filepath.Join("..", parts[2]))
		for _, name := range namedTest.FindAllStringSubmatch(parts[1], -1) {
			n++
			if !strings.Contains(sources, "\nfunc "+name[1]+"(") {
				t.Errorf("%s has no %s", parts[2], name[1])
			}
		}
	}
	if all := len(namedTest.FindAllString(text, -1)); n != all || n == 0 {
		t.Errorf("of %d tests %d are said to be somewhere", all, n)
	}
}

// testSources returns the tests in a folder of this repository.
func testSources(t *testing.T, folder string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s has no tests: %v", folder, err)
	}
	var all strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
