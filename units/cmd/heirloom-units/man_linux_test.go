package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/units/lint"
)

// helpFlags are those that a command's help lists.
func helpFlags(t *testing.T, name string) []string {
	t.Helper()
	_, list, _ := strings.Cut(must(t, name, "-help"), "\nFlags:\n")
	var flags []string
	for _, match := range regexp.MustCompile(`(?m)^  -(\S+)`).FindAllStringSubmatch(list, -1) {
		flags = append(flags, match[1])
	}
	slices.Sort(flags)
	return flags
}

// found are the sorted submatches in a text, each once.
func found(pattern, text string) []string {
	var all []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestOneSource has help, manual page and completions list the same flags.
func TestOneSource(t *testing.T) {
	bash, zsh, fish := must(t, "completion", "bash"), must(t, "completion", "zsh"), must(t, "completion", "fish")
	for _, name := range commandNames() {
		want := helpFlags(t, name)
		if flags := found(`(?m)^\.TP\n\.BI? \\-(\S+)`, must(t, "man", name)); !slices.Equal(flags, want) {
			t.Errorf("%s: the manual page has flags %v, help has %v", name, flags, want)
		}
		_, after, _ := strings.Cut(bash, "\n\t"+name+":-*) _heirloom_units_words '")
		inBash, _, _ := strings.Cut(after, "'")
		if flags := found(`-(\S+)`, inBash); len(want) > 0 && !slices.Equal(flags, want) {
			t.Errorf("%s: bash has flags %v, help has %v", name, flags, want)
		}
		_, after, _ = strings.Cut(zsh, "\n\t"+name+")\n")
		inZsh, _, _ := strings.Cut(after, ";;")
		if flags := found(`(?m)^\t\t\t'-([a-z]+)`, inZsh); !slices.Equal(flags, want) {
			t.Errorf("%s: zsh has flags %v, help has %v", name, flags, want)
		}
		if flags := found(`in `+name+`' -o (\S+)`, fish); !slices.Equal(flags, want) {
			t.Errorf("%s: fish has flags %v, help has %v", name, flags, want)
		}
	}
}

// TestValues has each word that a flag takes in the text of the flag, unless
// they are rules.
func TestValues(t *testing.T) {
	for _, cmd := range commands() {
		flags, _ := cmd.flags()
		for name, words := range cmd.values {
			f := flags.Lookup(name)
			if f == nil {
				t.Errorf("%s has no -%s", cmd.name, name)
				continue
			}
			for _, word := range words {
				if name != "rules" && !strings.Contains(f.Usage, word) {
					t.Errorf("%s -%s: %q does not name %s", cmd.name, name, f.Usage, word)
				}
			}
		}
	}
}

// plain is a page as it is read, on one line.
func plain(t *testing.T, page string) string {
	t.Helper()
	cmd := exec.Command("man", "--warnings", "-E", "UTF-8", "-l", "-")
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MAN_KEEP_FORMATTING=", "MANPAGER=cat", "MANWIDTH=200", "MANOPT=--no-hyphenation --no-justification")
	cmd.Stdin = strings.NewReader(page)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Errorf("man: %v: %s", err, errs.String())
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

// TestManualPages has man show all that help says, and nothing to complain
// about.
func TestManualPages(t *testing.T) {
	require(t, "man")
	dir := t.TempDir()
	paths := strings.Fields(must(t, "man", "-out", dir))
	if len(paths) != len(commands())+2 {
		t.Errorf("there are pages %v", paths)
	}
	for _, path := range paths {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		shown := plain(t, string(page))
		var want []string
		for _, cmd := range commands() {
			switch name {
			case "heirloom-units":
				want = append(want, "heirloom-units-"+cmd.name+"(1) "+cmd.short)
			case "heirloom-units-" + cmd.name:
				want = append(strings.Split(cmd.long, "\n\n"), cmd.short, cmd.usage)
				flags, _ := cmd.flags()
				flags.VisitAll(func(f *flag.Flag) {
					value, usage := flag.UnquoteUsage(f)
					want = append(want, "-"+f.Name+" "+value+" "+usage)
				})
			}
		}
		if name == "heirloom-units-rules" {
			for _, rule := range lint.Rules() {
				want = append(want, rule.ID+" At worst ", rule.Title, rule.Why, rule.Good)
			}
		}
		for _, text := range want {
			if text = strings.Join(strings.Fields(text), " "); !strings.Contains(shown, text) {
				t.Errorf("%s does not say %q:\n%s", name, text, shown)
			}
		}
	}
	if one := must(t, "man", "lint"); !strings.Contains(one, "heirloom\\-units\\-lint") {
		t.Errorf("man lint: %s", one)
	}
}

func TestVersion(t *testing.T) {
	version = "1.2.0"
	defer func() { version = "" }()
	if out := must(t, "version"); out != "1.2.0\n" {
		t.Errorf("%q", out)
	}
	if page := must(t, "man", "version"); !strings.Contains(page, `"heirloom 1.2.0"`) {
		t.Errorf("the page has no version: %.200s", page)
	}
}
