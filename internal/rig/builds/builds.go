// Package builds compiles the programs of tests, of this tree and of older
// ones.
package builds

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Frozen is the commit of the build that today's is tested against, both ways:
// the oldest of this history that speaks protocol 2. Read "Versions" in
// docs/internals.md before you move it.
const Frozen = "0630f165ce5fff07120b7376befe30eda4e3b4ff"

// ErrNoHistory says that git does not have a commit.
var ErrNoHistory = errors.New("an older build cannot be made: it takes git and a full clone, as by git fetch --unshallow")

// Compile builds the programs at these paths of a tree into the folder dir, by
// these names. One call of go links several of them at a time.
func Compile(tree, dir string, flags []string, names map[string]string) error {
	built, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(built) }()
	args := append([]string{"build", "-o", built}, flags...)
	for path := range names {
		args = append(args, path)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off") // without cgo for the roots with another libc
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %q in %s: %w\n%s", args, tree, err, out)
	}
	for path, name := range names {
		if err := os.Rename(filepath.Join(built, filepath.Base(path)), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// CheckOut puts the tree of a commit of the repository at root into a new
// folder. Its error wraps ErrNoHistory where git does not have the commit.
func CheckOut(root, commit, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	archive := dir + ".tar"
	defer func() { _ = os.Remove(archive) }()
	// git answers nobody but the owner of a checkout, unless it is told to.
	git := exec.Command("git", "-c", "safe.directory=*", "archive", "-o", archive, commit)
	git.Dir = root
	if out, err := git.CombinedOutput(); err != nil {
		return fmt.Errorf("%w (git archive %.7s: %w: %s)", ErrNoHistory, commit, err, strings.TrimSpace(string(out)))
	}
	if out, err := exec.Command("tar", "-x", "-f", archive, "-C", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack commit %s: %w: %s", commit, err, out)
	}
	return nil
}
