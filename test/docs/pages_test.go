// Package docs_test sees to it that what the pages say is so.
package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

// read returns a page.
func read(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// eachPage runs a test for each page.
func eachPage(t *testing.T, test func(t *testing.T, page, text string)) {
	t.Helper()
	pages, err := filepath.Glob("*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	for _, page := range pages {
		t.Run(page, func(t *testing.T) { test(t, page, read(t, page)) })
	}
}

// A row of a table has its cells by the names of the columns. Those of rows are
// in the order of the page.
type row map[string]string

var cellBorder = regexp.MustCompile(`[^\\]\|`)

// tables returns the rows of all tables whose first column has that name.
func tables(t *testing.T, page, first string) []row {
	t.Helper()
	var columns []string
	var rows []row
	for line := range strings.Lines(read(t, page)) {
		if !strings.HasPrefix(line, "|") {
			columns = nil
			continue
		}
		line = strings.TrimPrefix(strings.TrimSpace(line), "|")
		var cells []string
		for _, cell := range cellBorder.Split(line, -1) {
			cells = append(cells, strings.ReplaceAll(strings.TrimSpace(cell), `\|`, "|"))
		}
		switch {
		case columns == nil:
			columns = cells
		case columns[0] == first && !strings.HasPrefix(cells[0], "---"):
			r := row{}
			for i, cell := range cells[:len(cells)-1] {
				r[columns[i]] = cell
			}
			rows = append(rows, r)
		}
	}
	if rows == nil {
		t.Fatalf("%s has no table with a first column %q", page, first)
	}
	return rows
}

var (
	fence = regexp.MustCompile("(?s)\n```(\\w+)\n(.*?)\n```\n")
	code  = regexp.MustCompile("`([^`\n]+)`")
)

// spans returns what a text has in code spans, less its blocks.
func spans(text string) []string {
	var all []string
	for _, parts := range code.FindAllStringSubmatch(fence.ReplaceAllString(text, "\n"), -1) {
		all = append(all, strings.ReplaceAll(parts[1], `\|`, "|"))
	}
	return all
}

// blocks returns those of a language.
func blocks(text, language string) []string {
	var all []string
	for _, parts := range fence.FindAllStringSubmatch(text, -1) {
		if parts[1] == language {
			all = append(all, parts[2]+"\n")
		}
	}
	return all
}

func TestForWhom(t *testing.T) {
	eachPage(t, func(t *testing.T, _, text string) {
		_, rest, _ := strings.Cut(text, "\n\n")
		if !strings.HasPrefix(rest, "This page is for whoever ") {
			t.Error("it does not begin with for whom it is")
		}
	})
}

var (
	link    = regexp.MustCompile(`\]\(([^)]*)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

func TestLinks(t *testing.T) {
	eachPage(t, func(t *testing.T, page, text string) {
		for _, parts := range link.FindAllStringSubmatch(text, -1) {
			path, anchor, _ := strings.Cut(parts[1], "#")
			if strings.HasPrefix(path, "https://") {
				continue
			}
			if path == "" {
				path = page
			}
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			} else if anchor != "" && !slices.Contains(anchors(read(t, path)), anchor) {
				t.Errorf("%s has no heading for #%s", path, anchor)
			}
		}
	})
}

// anchors returns the names of the headings, as GitHub makes them.
func anchors(text string) []string {
	var all []string
	for _, parts := range heading.FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(parts[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

var ruleNames = regexp.MustCompile("\\brules?\\s+(`[a-z-]+`(?:(?:,| and)\\s+`[a-z-]+`)*)")

func TestRules(t *testing.T) {
	eachPage(t, func(t *testing.T, _, text string) {
		for _, parts := range ruleNames.FindAllStringSubmatch(text, -1) {
			for _, id := range spans(parts[1]) {
				if _, err := lint.Explain(id); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// TestPrograms sees to it that each piece of Go in the pages is a piece of a
// program that compiles.
func TestPrograms(t *testing.T) {
	var programs []string
	for pattern, n := range map[string]int{"migration/*/before/*.go": 5, "migration/*/after/*.go": 5, "../test/real/*/main.go": 7} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) != n {
			t.Fatal(paths, err)
		}
		for _, path := range paths {
			programs = append(programs, read(t, path))
		}
	}
	eachPage(t, func(t *testing.T, _, text string) {
		for _, block := range blocks(text, "go") {
			if !slices.ContainsFunc(programs, func(program string) bool { return strings.Contains(program, "\n"+block) }) {
				t.Errorf("no program in migration or test/real has:\n%s", block)
			}
		}
	})
	for _, module := range []string{"migration", "../test/real"} {
		cmd := exec.Command("go", "vet", "./...")
		cmd.Dir, cmd.Env = module, append(os.Environ(), "CGO_ENABLED=0") // as the programs are built
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", module, err, out)
		}
	}
}

var dropIn = regexp.MustCompile("(?s)\n`(/etc/systemd/system/[^`]*)`\n\n```ini\n(.*?)```\n")

// TestUnits has package lint look at the drop-ins of the pages, beside the
// units of hello.
func TestUnits(t *testing.T) {
	eachPage(t, func(t *testing.T, _, text string) {
		dropIns := dropIn.FindAllStringSubmatch(text, -1)
		if len(dropIns) != len(blocks(text, "ini")) {
			t.Error("there is a unit without its path")
		}
		for _, parts := range dropIns {
			root := t.TempDir()
			files := append(render(t), units.File{Path: parts[1], Text: parts[2]})
			for _, file := range files {
				path := filepath.Join(root, file.Path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(file.Text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			findings, err := lint.Check(lint.Options{Root: root}, unit)
			if err != nil || len(findings) > 0 {
				t.Errorf("%s: %v, %v", parts[1], findings, err)
			}
		}
	})
}

// TestSettings compares what operators.md says of settings with what upgrades
// go by.
func TestSettings(t *testing.T) {
	text := read(t, operators)
	for begin, anew := range map[string]bool{"- At once: ": false, "- With a new start, ": true} {
		_, item, found := strings.Cut(text, begin)
		item, _, _ = strings.Cut(item, "\n- ")
		before, _ := units.Hash("[Service]\n")
		n := 0
		for _, name := range spans(item) {
			if name, ok := strings.CutSuffix(name, "="); ok {
				n++
				if after, _ := units.Hash("[Service]\n" + name + "=x\n"); (after != before) != anew {
					t.Errorf("%s%s=: is said wrongly", begin, name)
				}
			}
		}
		if !found || n < 5 {
			t.Errorf("%q names %d settings", begin, n)
		}
	}
}

// TestFigures compares figures in operators.md with where they come from.
func TestFigures(t *testing.T) {
	page := strings.Join(strings.Fields(read(t, operators)), " ")
	service := render(t)[0].Text
	options := strings.Join(strings.Fields(strings.ReplaceAll(read(t, "../lifecycle/options.go"), "//", "")), " ")
	for _, figure := range []struct{ said, text, source string }{
		{"starts the next one 200 ms later", service, "\nRestartSec=200ms\n"},
		{"after 20 starts in 30 seconds", service, "\nStartLimitIntervalSec=30s\nStartLimitBurst=20\n"},
		{"64 generations may drain at a time", options, "The default is 64."},
		{"gives the oldest five seconds to finish", options, "the oldest has five seconds to finish"},
	} {
		if !strings.Contains(page, figure.said) || !strings.Contains(figure.text, figure.source) {
			t.Errorf("%q and %q do not belong together any more", figure.said, figure.source)
		}
	}
}
