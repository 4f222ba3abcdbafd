package lint_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

// A proof shows on a real systemd what a rule says. Two services are rendered
// by package units and get the bad lines. In one of them each finding of the
// rule is put right by its Use, or, where that depends on the unit, by the good
// lines. Then the same is done to both, and what is seen has to be what the
// rule says. In the lines NAME is the unit's name, PROGRAM its program and
// ADDRESS its socket's.
type proof struct {
	rule      string
	bad       string // lines of the service's drop-in
	badSocket string // of the socket's
	// good are the lines in the place of bad, goodSocket of badSocket. Both
	// empty: the Use of the findings is applied.
	good, goodSocket string
	also             string // a drop-in of the service in either case
	without          string // a setting that the rendered service loses, as no drop-in can take it back
	program          string // what is run; by default hello
	describe         func(*scene, *units.Service)
	instances        bool // of a template: the scene is its first one
	daemon           lint.Daemon
	act              func(*scene) string
	breaks, holds    string // what the act sees with the bad lines, and without
	on               []sdtest.Version
}

// versions are those that the proof is for: by default the newest, from which
// the others differ in nothing that is known.
func (p proof) versions() []sdtest.Version {
	switch {
	case p.on != nil:
		return p.on
	case os.Getenv("HEIRLOOM_TEST_ALL") == "true":
		return sdtest.Versions()
	}
	return []sdtest.Version{sdtest.V262}
}

// TestProofs shows all rules. The services of one systemd are all there before
// the first is started, for a daemon-reload takes long.
func TestProofs(t *testing.T) {
	programs := buildPrograms(t)
	for _, v := range sdtest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			var scenes []*scene
			for i, p := range proofs() {
				if slices.Contains(p.versions(), v) && wanted(p.rule) {
					scenes = append(scenes, newScene(t, v, p, i, true), newScene(t, v, p, i, false))
				}
			}
			if len(scenes) == 0 {
				return
			}
			m := sdtest.Boot(t, v)
			for _, name := range []string{"hello", "proof"} {
				m.Install(filepath.Join(programs, name), shared+name)
			}
			for _, s := range scenes {
				s.install(t, m)
			}
			m.MustRun("systemctl", "daemon-reload")
			b := newBus(t, m)
			for _, s := range scenes {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					s.play(t, m.For(t), b, programs)
				})
			}
		})
	}
}

// wanted reports whether a proof is to be prepared: HEIRLOOM_PROOF names the
// rules, if not all are.
func wanted(rule string) bool {
	only := os.Getenv("HEIRLOOM_PROOF")
	return only == "" || slices.Contains(strings.Split(only, ","), rule)
}

// TestEveryRuleIsProven has each rule either shown or excused.
func TestEveryRuleIsProven(t *testing.T) {
	shown := map[string]bool{}
	for _, p := range proofs() {
		shown[p.rule] = true
	}
	for _, r := range lint.Rules() {
		switch {
		case !shown[r.ID] && r.Unshown == "":
			t.Errorf("%s: no proof, and no reason why there is none", r.ID)
		case shown[r.ID] && r.Unshown != "":
			t.Errorf("%s: there is a proof, but Unshown says %q", r.ID, r.Unshown)
		}
		delete(shown, r.ID)
	}
	for id := range shown {
		t.Errorf("%s: a proof of no rule", id)
	}
}

// buildPrograms returns the folder of hello, and of the programs that fail as
// its successors.
func buildPrograms(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, build := range map[string][2]string{
		"hello": {"version=v1", "./examples/hello"},
		"proof": {"version=v1", "./units/lint/testdata/proof"},
		"v2":    {"version=v2", "./examples/hello"},
		"crash": {"mode=crash", "./test/e2e/testdata/faulty"},
	} {
		cmd := exec.Command("go", "build", "-ldflags", "-X main."+build[0], "-o", filepath.Join(dir, name), build[1])
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // for the roots with another libc
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	return dir
}
