package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// sources is what the library can say, and what it exports.
type sources struct {
	texts   []string                   // of constants, with … for each verb of fmt
	files   map[string]map[string]bool // the constants of each file
	symbols map[string]bool            // such as lifecycle.Options.Linger
}

var verb = regexp.MustCompile(`%[-+# 0]*\d*(\.\d+)?[a-zA-Z]`)

func parse(t *testing.T) *sources {
	t.Helper()
	s := &sources{files: map[string]map[string]bool{}, symbols: map[string]bool{}}
	for _, folder := range []string{"lifecycle", "activation", "notify", "units", "internal"} {
		err := filepath.WalkDir(filepath.Join("..", folder), func(path string, _ fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case strings.HasSuffix(path, ".tmpl"):
				s.texts = append(s.texts, placeholders(read(t, path)))
			case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
				return s.parse(path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for errno := range syscall.Errno(140) {
		s.texts = append(s.texts, errno.Error())
	}
	return s
}

var expansion = regexp.MustCompile(`\$\{?[a-z0-9_]+\}?|\{\{[^}]*\}\}`)

// placeholders has … for what a script replaces, and joins what it has on two
// lines.
func placeholders(script string) string {
	script = regexp.MustCompile(`" *\\\n\s*"`).ReplaceAllString(script, " ")
	return expansion.ReplaceAllString(script, "…")
}

func (s *sources) parse(path string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	constants := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			text, _ := strconv.Unquote(literal.Value)
			text = verb.ReplaceAllString(strings.ReplaceAll(text, "%q", `"…"`), "…")
			constants[text] = true
			s.texts = append(s.texts, text)
		}
		return true
	})
	s.files[path] = constants
	for _, declaration := range file.Decls {
		s.declare(file.Name.Name, declaration)
	}
	return nil
}

func (s *sources) declare(pkg string, declaration ast.Decl) {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			name = receiver(d.Recv.List[0].Type) + "." + name
		}
		s.symbols[pkg+"."+name] = true
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					s.symbols[pkg+"."+name.Name] = true
				}
			case *ast.TypeSpec:
				s.symbols[pkg+"."+spec.Name.Name] = true
				s.fields(pkg+"."+spec.Name.Name, spec.Type)
			}
		}
	}
}

func (s *sources) fields(name string, typ ast.Expr) {
	if structure, ok := typ.(*ast.StructType); ok {
		for _, field := range structure.Fields.List {
			for _, n := range field.Names {
				s.symbols[name+"."+n.Name] = true
			}
		}
	}
}

func receiver(typ ast.Expr) string {
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if name, ok := typ.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

var logged = regexp.MustCompile(`^([^…]*): ((?:\w+=… ?)+)$`)

// says reports whether there is a constant that has text, where … is anything,
// or one for the error and one for its cause; or, if it is a line of a log, a
// file that has the message and the names of the values.
func (s *sources) says(text string) bool {
	if parts := logged.FindStringSubmatch(text); parts != nil {
		for _, constants := range s.files {
			missing := func(field string) bool { return !constants[strings.TrimSuffix(field, "=…")] }
			if constants[parts[1]] && !slices.ContainsFunc(strings.Fields(parts[2]), missing) {
				return true
			}
		}
		return false
	}
	if s.has(text) {
		return true
	}
	one, other, wrapped := strings.Cut(text, ": ") // an error and its cause
	return wrapped && slices.Contains(s.texts, one) && s.has(": "+other)
}

// has reports whether there is a constant that has all of text, in that order.
func (s *sources) has(text string) bool {
	pieces := strings.Split(text, "…")
	return slices.ContainsFunc(s.texts, func(said string) bool {
		for _, piece := range pieces {
			_, after, found := strings.Cut(said, strings.TrimSpace(piece))
			if !found {
				return false
			}
			said = after
		}
		return true
	})
}

// TestSays looks up, in the sources, what the pages say that heirloom says.
func TestSays(t *testing.T) {
	s := parse(t)
	n := 0
	for _, place := range []struct{ page, first, column string }{
		{"troubleshooting.md", "what is said", "what is said"},
		{"troubleshooting.md", "what is said or seen", "what is said or seen"},
		{operators, "in the journal", "in the journal"},
		{"packagers.md", "what is met on an upgrade", "message"},
	} {
		for _, r := range tables(t, place.page, place.first) {
			if strings.HasSuffix(r[place.column], "(systemd)") {
				continue // see TestOperators
			}
			for _, text := range spans(r[place.column]) {
				n++
				if !strings.HasPrefix(text, "start /") && !s.says(text) {
					t.Errorf("%s: nothing says %q", place.page, text)
				}
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d were looked up", n)
	}
	for _, text := range []string{"the successor was …unready", "ready: generation=… colour=…"} {
		if s.says(text) {
			t.Errorf("%q was found", text)
		}
	}
}

var (
	symbol   = regexp.MustCompile(`^(lifecycle|units|activation|notify)\.[A-Z]\w*(\.\w+)?$`)
	member   = regexp.MustCompile(`^(Service|Options|PassedState|Stream)\.\w+$`)
	variable = regexp.MustCompile(`^[A-Z]+_[A-Z_]+`)
)

// TestNames looks up exported names and variables of the environment.
func TestNames(t *testing.T) {
	s := parse(t)
	eachPage(t, func(t *testing.T, _, text string) {
		for _, span := range spans(text) {
			name := variable.FindString(span)
			switch {
			case symbol.MatchString(span) && !s.symbols[span], member.MatchString(span) && !s.symbols["lifecycle."+span]:
				t.Errorf("there is no %s", span)
			case name != "" && !slices.Contains(s.texts, name):
				t.Errorf("nothing reads or writes %s", name)
			}
		}
	})
}

// TestProtocol looks up the names in internals.md.
func TestProtocol(t *testing.T) {
	s := parse(t)
	_, section, found := strings.Cut(read(t, "internals.md"), "## The handover protocol")
	section, _, _ = strings.Cut(section, "How to change a message")
	if !found {
		t.Fatal("it is gone")
	}
	if version := fmt.Sprintf("`Protocol` is %d.", handover.Protocol); !strings.Contains(section, version) {
		t.Errorf("the page does not say %q", version)
	}
	message := s.files[filepath.Join("..", "internal", "handover", "message.go")]
	said, fields := spans(section), messageFields()
	for field, of := range fields {
		if !slices.Contains(said, field) {
			t.Errorf("the page does not list the field %s of %s, and since which protocol there is one", field, of)
		}
	}
	for _, span := range said {
		if strings.HasPrefix(span, "PROGRAM ") || fields[span] != "" {
			continue
		}
		if !message[span] && !s.symbols["handover."+span] && !s.symbols["handover.Message."+span] && !s.symbols[span] {
			t.Errorf("there is no %s", span)
		}
	}
}

// messageFields tells of each field that goes over the handover socket of which
// type it is.
func messageFields() map[string]string {
	fields := make(map[string]string)
	for _, part := range []any{handover.Message{}, handover.Process{}, handover.Moving{}, handover.Batch{}, handover.Passed{}, handover.Payload{},
		handover.Bound{}, handover.FileID{}, handover.Report{}, handover.Outcome{}} {
		kind := reflect.TypeOf(part)
		for i := range kind.NumField() {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			if name != "" { // an embedded struct is not a field of its own
				fields[name] = kind.Name()
			}
		}
	}
	return fields
}
