package e2e_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/builds"
)

// protocol1Commit is a build of protocol 1, which was never released. It is
// tested to be refused.
const protocol1Commit = "a2677bce530da930347b62cf851e53184ea87ace"

// The builds of a program. All but protocol1 speak the same protocol, and
// replace each other.
const (
	frozen    = "frozen"    // of builds.Frozen
	protocol1 = "protocol1" // of protocol1Commit
	today     = "today"     // of this tree
	staying   = "staying"   // of this tree, without Options.MoveTLS
	future    = "future"    // of this tree, with another format of sessions of TLS, as a later release may have
)

// made makes them: each once, for the first test that asks.
var made = map[string]func() error{
	frozen:    sync.OnceValue(func() error { return buildAt(builds.Frozen, frozen, replaced...) }),
	protocol1: sync.OnceValue(func() error { return buildAt(protocol1Commit, protocol1, "./examples/hello") }),
	today:     sync.OnceValue(func() error { return buildTree(root, today, nil, replaced...) }),
	staying:   sync.OnceValue(func() error { return buildTree(root, staying, nil, secure) }),
	future:    sync.OnceValue(buildFuture),
}

const secure = "./test/e2e/testdata/secure"

// replaced are the programs of which these tests have builds replace each other.
var replaced = []string{"./examples/hello", "./examples/chat", "./test/e2e/testdata/crasher", "./test/e2e/testdata/daemon", secure}

// buildOf returns the path of a build of hello, chat, secure, or the crasher or
// the daemon of these tests; of protocol 1 there is only hello, of staying and
// future only secure. It skips the test without the history to make an older
// one of.
func buildOf(t *testing.T, name, build string) string {
	t.Helper()
	switch err := made[build](); {
	case errors.Is(err, builds.ErrNoHistory):
		missing(t, err)
	case err != nil:
		t.Fatal(err)
	}
	return program(name + "-" + build)
}

// buildAt builds programs of the tree of a commit.
func buildAt(commit, build string, paths ...string) error {
	tree := filepath.Join(programs, build)
	if err := builds.CheckOut(root, commit, tree); err != nil {
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
