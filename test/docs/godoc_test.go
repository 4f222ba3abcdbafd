package docs_test

import (
	"go/ast"
	"go/build"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/heirloom-go/heirloom"

// documented returns, by import path, what pkg.go.dev shows of the packages
// that are there for others.
func documented(t *testing.T) map[string]*doc.Package {
	t.Helper()
	packages := map[string]*doc.Package{}
	err := filepath.WalkDir("..", func(dir string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || !entry.IsDir():
			return err
		case dir != ".." && strings.HasPrefix(entry.Name(), "."), slices.Contains([]string{"dist", "docs", "examples", "internal", "test", "testdata", "tools"}, entry.Name()):
			return filepath.SkipDir
		}
		importPath := path.Join(module, strings.TrimPrefix(filepath.ToSlash(dir), ".."))
		if p := documentedIn(t, dir, importPath); p != nil {
			packages[importPath] = p
		}
		return nil
	})
	if err != nil || packages[module+"/lifecycle"] == nil || packages[module+"/prometheus"] == nil {
		t.Fatal(packages, err)
	}
	return packages
}

// documentedIn returns nil for a directory without Go.
func documentedIn(t *testing.T, dir, importPath string) *doc.Package {
	t.Helper()
	context := build.Default
	context.GOOS = "linux"
	list, err := context.ImportDir(dir, 0)
	if err != nil {
		return nil
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range slices.Concat(list.GoFiles, list.TestGoFiles, list.XTestGoFiles) {
		file, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	p, err := doc.NewFromFiles(fset, files, importPath)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A documentedName is something exported and its comment.
type documentedName struct{ name, text string }

// documentedNames returns the package itself first.
func documentedNames(p *doc.Package) []documentedName {
	all := []documentedName{{"Package " + p.Name, p.Doc}}
	functions := func(receiver string, list []*doc.Func) {
		for _, f := range list {
			all = append(all, documentedName{receiver + f.Name, f.Doc})
		}
	}
	values := func(lists ...[]*doc.Value) {
		for _, v := range slices.Concat(lists...) {
			all = append(all, documentedValues(v)...)
		}
	}
	values(p.Consts, p.Vars)
	functions("", p.Funcs)
	for _, t := range p.Types {
		all = append(all, documentedName{t.Name, t.Doc})
		values(t.Consts, t.Vars)
		functions("", t.Funcs)
		functions(t.Name+".", t.Methods)
	}
	return all
}

// documentedValues returns those of a declaration, each with its own comment
// or, if it has none, with the one of all.
func documentedValues(v *doc.Value) []documentedName {
	var all []documentedName
	for _, spec := range v.Decl.Specs {
		value := spec.(*ast.ValueSpec)
		text := value.Doc.Text() + value.Comment.Text()
		if text == "" {
			text = v.Doc
		}
		for _, name := range value.Names {
			if name.IsExported() {
				all = append(all, documentedName{name.Name, text})
			}
		}
	}
	return all
}

// eachDocumented runs a test for each package.
func eachDocumented(t *testing.T, test func(t *testing.T, p *doc.Package)) {
	t.Helper()
	for importPath, p := range documented(t) {
		t.Run(strings.TrimPrefix(importPath, module+"/"), func(t *testing.T) { test(t, p) })
	}
}

// TestComments sees to it that all that is exported has a comment, and that it
// begins with the name where that is the custom.
func TestComments(t *testing.T) {
	eachDocumented(t, func(t *testing.T, p *doc.Package) {
		names := documentedNames(p)
		begin := names[0].name + " "
		if p.Name == "main" {
			begin = "Heirloom-"
		}
		if !strings.HasPrefix(p.Doc, begin) {
			t.Errorf("the comment of the package does not begin with %q", begin)
		}
		for _, n := range names {
			if strings.TrimSpace(n.text) == "" {
				t.Errorf("%s has no comment", n.name)
			}
		}
		for _, typ := range p.Types {
			beginsWith(t, typ.Name, strings.TrimPrefix(strings.TrimPrefix(typ.Doc, "A "), "An "))
			for _, f := range slices.Concat(typ.Funcs, typ.Methods) {
				beginsWith(t, f.Name, f.Doc)
			}
		}
		for _, f := range p.Funcs {
			beginsWith(t, f.Name, f.Doc)
		}
	})
}

func beginsWith(t *testing.T, name, text string) {
	t.Helper()
	if !regexp.MustCompile(`^` + name + `\b`).MatchString(text) {
		t.Errorf("the comment of %s begins with %.20q", name, text)
	}
}

// TestExamples sees to it that whoever opens the page of a package sees how it
// is used.
func TestExamples(t *testing.T) {
	eachDocumented(t, func(t *testing.T, p *doc.Package) {
		if p.Name != "main" && len(p.Examples) == 0 {
			t.Error("there is no example of the whole package: func Example")
		}
		examples := p.Examples
		for _, f := range p.Funcs {
			examples = append(examples, f.Examples...)
		}
		for _, typ := range p.Types {
			examples = append(examples, typ.Examples...)
			for _, f := range slices.Concat(typ.Funcs, typ.Methods) {
				examples = append(examples, f.Examples...)
			}
		}
		for _, example := range examples {
			if example.Doc == "" {
				t.Errorf("Example%s has no comment", example.Name)
			}
		}
	})
}

// brackets are around what would be a link if there were such a name.
var brackets = regexp.MustCompile(`\[\*?[A-Za-z][\w./-]*\]`)

// TestDocLinks follows the links in comments.
func TestDocLinks(t *testing.T) {
	packages := documented(t)
	symbols := map[string]bool{}
	for importPath, p := range packages {
		symbols[importPath] = true
		for _, n := range documentedNames(p) {
			symbols[importPath+"."+n.name] = true
		}
		for _, typ := range p.Types {
			for _, field := range exportedFields(typ) {
				symbols[importPath+"."+typ.Name+"."+field] = true // has an anchor on the page, too
			}
		}
	}
	n := 0
	for importPath, p := range packages {
		for _, name := range documentedNames(p) {
			visitTexts(p.Parser().Parse(name.text).Content, func(text comment.Text) {
				switch text := text.(type) {
				case comment.Plain:
					if found := brackets.FindString(string(text)); found != "" {
						t.Errorf("%s, %s: there is no %s", importPath, name.name, found)
					}
				case *comment.DocLink:
					n++
					if target := linkTarget(importPath, text); !symbols[target] && strings.HasPrefix(target, module) && !isExample(target) {
						t.Errorf("%s, %s: there is no %s", importPath, name.name, target)
					}
				}
			})
		}
	}
	if n < 50 {
		t.Errorf("only %d links were followed", n)
	}
}

func exportedFields(typ *doc.Type) []string {
	var fields []string
	for _, spec := range typ.Decl.Specs {
		if structure, ok := spec.(*ast.TypeSpec).Type.(*ast.StructType); ok {
			for _, field := range structure.Fields.List {
				for _, name := range field.Names {
					fields = append(fields, name.Name)
				}
			}
		}
	}
	return fields
}

// linkTarget returns what a link leads to, as in symbols.
func linkTarget(importPath string, link *comment.DocLink) string {
	target := link.ImportPath
	if target == "" {
		target = importPath
	}
	for _, name := range []string{link.Recv, link.Name} {
		if name != "" {
			target += "." + name
		}
	}
	return target
}

// isExample reports whether there is such a folder in examples.
func isExample(importPath string) bool {
	found, err := filepath.Glob(filepath.Join("..", strings.TrimPrefix(importPath, module), "main.go"))
	return err == nil && len(found) == 1
}

// pageWidth is how many columns of code a page of pkg.go.dev shows, where a tab
// is four.
const pageWidth = 104

// TestWidth sees to it that nobody has to scroll for the comments of fields and
// constants, nor for what comments have as code.
func TestWidth(t *testing.T) {
	eachDocumented(t, func(t *testing.T, p *doc.Package) {
		check := func(name, lines string) {
			for line := range strings.Lines(lines) {
				if line = strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    "); len([]rune(line)) > pageWidth {
					t.Errorf("%s: too wide for the page: %s", name, line)
				}
			}
		}
		for _, n := range documentedNames(p) {
			for _, block := range p.Parser().Parse(n.text).Content {
				if code, ok := block.(*comment.Code); ok {
					check(n.name, code.Text)
				}
			}
		}
		for _, typ := range p.Types {
			for _, spec := range typ.Decl.Specs {
				ast.Inspect(spec, func(n ast.Node) bool {
					if c, ok := n.(*ast.Comment); ok {
						check(typ.Name, "    "+c.Text)
					}
					return true
				})
			}
		}
	})
}

// visitTexts visits the texts of a comment that are not code.
func visitTexts(blocks []comment.Block, visit func(comment.Text)) {
	for _, block := range blocks {
		var texts []comment.Text
		switch block := block.(type) {
		case *comment.Paragraph:
			texts = block.Text
		case *comment.Heading:
			texts = block.Text
		case *comment.List:
			for _, item := range block.Items {
				visitTexts(item.Content, visit)
			}
		}
		for _, text := range texts {
			visit(text)
		}
	}
}
