package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// frozenCommit is the build that today's is tested against, both ways: the
// oldest of this history that speaks protocol 2. Read "Versions" in
// docs/internals.md before you move it.
const frozenCommit = "0630f165ce5fff07120b7376befe30eda4e3b4ff"

// protocol1Commit is a build of protocol 1, which was never released. It is
// tested to be refused.
const protocol1Commit = "a2677bce530da930347b62cf851e53184ea87ace"

// The builds of a program. All but protocol1 speak the same protocol, and
// replace each other.
const (
	frozen    = "frozen"    // of frozenCommit
	protocol1 = "protocol1" // of protocol1Commit
	today     = "today"     // of this tree
	staying   = "staying"   // of this tree, without Options.MoveTLS
	future    = "future"    // of this tree, with another format of sessions of TLS, as a later release may have
)

// builds makes them: each once, for the first test that asks.
var builds = map[string]func() error{
	frozen:    sync.OnceValue(func() error { return buildAt(frozenCommit, frozen, replaced...) }),
	protocol1: sync.OnceValue(func() error { return buildAt(protocol1Commit, protocol1, "./examples/hello") }),
	today:     sync.OnceValue(func() error { return buildTree(root, today, nil, replaced...) }),
	staying:   sync.OnceValue(func() error { return buildTree(root, staying, nil, secure) }),
	future:    sync.OnceValue(buildFuture),
}

const secure = "./test/e2e/testdata/secure"

// replaced are the programs of which these tests have builds replace each other.
var replaced = []string{"./examples/hello", "./examples/chat", "./test/e2e/testdata/crasher", "./test/e2e/testdata/daemon", secure}

// errNoHistory says that git does not have a commit.
var errNoHistory = errors.New("an older build cannot be made: it takes git and a full clone, as by git fetch --unshallow")

// buildOf returns the path of a build of hello, chat, secure, or the crasher or
// the daemon of these tests; of protocol 1 there is only hello, of staying and
// future only secure. It skips the test without the history to make an older one of.
func buildOf(t *testing.T, name, build string) string {
	t.Helper()
	switch err := builds[build](); {
	case errors.Is(err, errNoHistory):
		missing(t, err)
	case err != nil:
		t.Fatal(err)
	}
	return program(name + "-" + build)
}

// buildAt builds programs of the tree of a commit.
func buildAt(commit, build string, paths ...string) error {
	tree := filepath.Join(programs, build)
	if err := checkOut(commit, tree); err != nil {
		return err
	}
	// The tree has another path each time, for which go would compile it again.
	if err := buildTree(tree, build, []string{"-trimpath"}, paths...); err != nil {
		return err
	}
	return os.RemoveAll(tree)
}

// buildTree builds programs of a tree.
func buildTree(tree, build string, flags []string, paths ...string) error {
	names := make(map[string]string)
	for _, path := range paths {
		names[path] = filepath.Base(path) + "-" + build
	}
	return compile(tree, append([]string{"-buildvcs=false", "-ldflags", "-X main.version=" + build}, flags...), names)
}

// checkOut puts the tree of a commit of this repository into a folder.
func checkOut(commit, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	archive := dir + ".tar"
	defer os.Remove(archive)
	// git answers nobody but the owner of a checkout, unless it is told to.
	git := exec.Command("git", "-c", "safe.directory=*", "archive", "-o", archive, commit)
	git.Dir = root
	if out, err := git.CombinedOutput(); err != nil {
		return fmt.Errorf("%w (git archive %.7s: %w: %s)", errNoHistory, commit, err, strings.TrimSpace(string(out)))
	}
	if out, err := exec.Command("tar", "-x", "-f", archive, "-C", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack commit %s: %w: %s", commit, err, out)
	}
	return nil
}
