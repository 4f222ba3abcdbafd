package sdtest

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest/roots"
)

// WriteFile writes a file inside, owned by root, with exactly these permission
// bits, whatever the umask. A file of that name is replaced by rename, so that
// nobody inside ever sees half of it. Missing parent folders are made. It fails
// the test when it cannot.
func (m *Machine) WriteFile(path, content string, mode os.FileMode) {
	m.t.Helper()
	err := m.Inside(func() error { return replace(path, strings.NewReader(content), mode) })
	if err != nil {
		m.t.Fatalf("write inside: %v", err)
	}
}

// Install copies the file hostPath of the host to path inside, with mode 0755.
// It replaces the name as dpkg does, by rename: a process that runs the old
// file keeps it. It fails the test when it cannot.
func (m *Machine) Install(hostPath, path string) {
	m.t.Helper()
	src, err := os.Open(hostPath)
	if err != nil {
		m.t.Fatalf("install: %v", err)
	}
	defer func() { _ = src.Close() }()
	err = m.Inside(func() error { return replace(path, src, 0o755) })
	if err != nil {
		m.t.Fatalf("install %s inside: %v", hostPath, err)
	}
}

// Unpack puts the files of a Debian package into a machine of [V252], and runs
// none of its scripts. The package is one of those that cmd/sdroots keeps for
// machines and does not install on the host, where they would start something.
// It fails the test when it cannot.
func (m *Machine) Unpack(name string) {
	m.t.Helper()
	path, err := roots.Package(name)
	if err != nil {
		m.t.Fatalf("unpack %s: %v", name, err)
	}
	inside := "/root/" + name + ".deb"
	m.Install(path, inside)
	// In the root of a merged /usr the package's /lib is a link, which has to
	// stay.
	m.MustRun("sh", "-c", "dpkg-deb --fsys-tarfile "+inside+" | tar -x --keep-directory-symlink -C / && rm "+inside)
}

// replace writes a file beside path and renames it. It runs inside.
//
// No process may be started here meanwhile: it would hold the file open for
// writing until its execve, and a program that is executed by then is "text
// file busy" (golang/go issue 22315).
func replace(path string, content io.Reader, mode os.FileMode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".sdtest-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
