package lint_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/units/lint"
)

var update = flag.Bool("update", false, "write what is said now to testdata/output")

// outputs are the forms of testdata/output's findings, each beside its golden
// file.
func outputs() map[string]func(io.Writer, []lint.Finding) error {
	return map[string]func(io.Writer, []lint.Finding) error{
		"findings.txt":   lint.WriteText,
		"findings.json":  lint.WriteJSON,
		"findings.sarif": writeSARIFWithoutRules,
	}
}

// writeSARIFWithoutRules leaves out most of the rules, which would be all of a
// diff.
func writeSARIFWithoutRules(w io.Writer, findings []lint.Finding) error {
	var all bytes.Buffer
	if err := lint.WriteSARIF(&all, findings); err != nil {
		return err
	}
	begin, end := strings.Index(all.String(), `          "rules": [`), strings.Index(all.String(), `      "results": [`)
	if begin < 0 || end < 0 {
		return errors.New("no rules, or no results")
	}
	_, err := io.WriteString(w, all.String()[:begin]+"...\n"+all.String()[end:])
	return err
}

func TestOutputs(t *testing.T) {
	findings := check(t, lint.Options{}, "testdata/output/hello.service")
	for name, output := range outputs() {
		var got bytes.Buffer
		if err := output(&got, findings); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "output", name)
		if *update {
			write(t, golden, got.String())
		}
		if want := read(t, golden); got.String() != want {
			t.Errorf("%s:\n%s\nwant (go test -update writes it)\n%s", name, got.String(), want)
		}
	}
}

// TestSARIF looks at what code review tools rely on.
func TestSARIF(t *testing.T) {
	var out bytes.Buffer
	if err := lint.WriteSARIF(&out, check(t, lint.Options{}, "testdata/output/hello.service")); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct {
					Rules []struct{ ID string }
				}
			}
			Results []struct {
				RuleID              string
				RuleIndex           int
				Level               string
				PartialFingerprints map[string]string
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if log.Version != "2.1.0" || len(run.Tool.Driver.Rules) != len(lint.Rules()) || len(run.Results) == 0 {
		t.Errorf("version %s, %d rules, %d results", log.Version, len(run.Tool.Driver.Rules), len(run.Results))
	}
	seen := map[string]bool{}
	for _, r := range run.Results {
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("%s has the index of %s", r.RuleID, run.Tool.Driver.Rules[r.RuleIndex].ID)
		}
		for _, print := range r.PartialFingerprints {
			if seen[print] {
				t.Errorf("%s: the fingerprint is another's too", r.RuleID)
			}
			seen[print] = true
		}
	}
}

// TestFingerprint stays with a finding whose line has moved, and is its own.
func TestFingerprint(t *testing.T) {
	of := func(f ...lint.Finding) string {
		var out bytes.Buffer
		if err := lint.WriteSARIF(&out, f); err != nil {
			t.Fatal(err)
		}
		_, print, _ := strings.Cut(out.String(), `"heirloomUnits/v1": `)
		return print[:40]
	}
	a := lint.Finding{Rule: "kill-mode", Path: "a.service", Line: 3, Section: "Service", Setting: "KillMode", Value: "none"}
	moved, other := a, a
	moved.Line, other.Value = 9, "mixed"
	if of(a) != of(moved) || of(a) == of(other) {
		t.Errorf("%s, moved %s, another %s", of(a), of(moved), of(other))
	}
}

// TestArtifacts are relative below the working directory, and URIs.
func TestArtifacts(t *testing.T) {
	absolute, err := filepath.Abs("testdata/a b.service")
	if err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "x.service")
	for path, want := range map[string]string{
		"testdata/a b.service": `"uri": "testdata/a%20b.service"`,
		absolute:               `"uri": "testdata/a%20b.service"`,
		outside:                `"uri": "file:///`,
	} {
		var out bytes.Buffer
		if err := lint.WriteSARIF(&out, []lint.Finding{{Rule: "kill-mode", Path: path, Line: 1}}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: no %s", path, want)
		}
	}
}

// TestNothingFound is an empty list, not null.
func TestNothingFound(t *testing.T) {
	var text, js, sarif bytes.Buffer
	if err := errors.Join(lint.WriteText(&text, nil), lint.WriteJSON(&js, nil), lint.WriteSARIF(&sarif, nil)); err != nil {
		t.Fatal(err)
	}
	if text.Len() > 0 || js.String() != "[]\n" || !strings.Contains(sarif.String(), `"results": []`) {
		t.Errorf("%q, %q, %s", text.String(), js.String(), sarif.String())
	}
}

// full is a disk that is.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

func TestWriteFails(t *testing.T) {
	for name, output := range outputs() {
		if name == "findings.sarif" {
			output = lint.WriteSARIF
		}
		if err := output(full{}, []lint.Finding{{}}); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
