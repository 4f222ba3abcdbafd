package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// maxSteps is how long a path may be: a longer one is nobody's to remember.
const maxSteps = 12

var step = regexp.MustCompile("^([0-9]+)\\. `([^`:]+):([^`]+)` ")

// TestPaths looks up the functions of the paths in CONTRIBUTING.md.
func TestPaths(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, title := range []string{"The path of a listener", "The path of a connection"} {
		_, section, _ := strings.Cut(string(text), "### "+title+"\n")
		section, _, _ = strings.Cut(section, "\n#")
		n := 0
		for line := range strings.Lines(section) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			found := step.FindStringSubmatch(line)
			if n++; found == nil || found[1] != strconv.Itoa(n) {
				t.Errorf("%s: step %d is no `file:function`: %s", title, n, line)
			} else if !declares(t, filepath.Join("..", found[2]), found[3]) {
				t.Errorf("%s: %s does not declare %s", title, found[2], found[3])
			}
		}
		if n == 0 || n > maxSteps {
			t.Errorf("%s has %d steps, want 1 to %d", title, n, maxSteps)
		}
	}
	if declares(t, filepath.Join("..", "lifecycle", "listen.go"), "Listen") {
		t.Error("a method was found without its type")
	}
}

// declares reports whether a file has a function, or a method as Type.Method.
func declares(t *testing.T, path, name string) bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return false
	}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && ownerOf(f)+f.Name.Name == name {
			return true
		}
	}
	return false
}

// ownerOf returns the name of a method's type and a dot, "" for a function.
func ownerOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	return receiver(f.Recv.List[0].Type) + "."
}
