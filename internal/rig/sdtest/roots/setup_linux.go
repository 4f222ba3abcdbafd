package roots

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// hostPackages are what the tests of this module run on the host, or inside a
// machine that boots from it.
var hostPackages = [...]string{
	"debootstrap", "debian-archive-keyring", "systemd", "systemd-sysv", "dbus", "iproute2", "util-linux", "mount",
	"procps", "wrk", "nghttp2-client", "curl", "openssl", "chromium", "dnsperf", "bind9-dnsutils", "socat", "ncat",
	"ansible-core", "openssh-client", "python3-apt", "yamllint", "haproxy", "gnutls-bin", "openjdk-17-jdk-headless",
	"man-db", "zsh", "fish", "lintian",
}

// machinePackages are kept for machines that boot from the host's root, and not
// installed on the host: it would get a daemon that listens. Of what they
// depend on they list what a Debian with hostPackages may lack.
var machinePackages = [...]string{
	"openssh-server", "libwrap0",
	"podman", "conmon", "crun", "catatonit", "golang-github-containers-common", "golang-github-containers-image",
	"libgpgme11", "libassuan0", "libsubid4", "libyajl2", "libdevmapper1.02.1", "libglib2.0-0",
}

// rootPackages are what a root needs besides a minimal Debian. One of them has
// rpm.
func (r Root) rootPackages() []string {
	names := []string{"systemd", "systemd-sysv", "dbus", "procps"}
	if r.Suite == "trixie" {
		names = append(names, "rpm")
	}
	return names
}

// complete answers which package a root lacks that was made before it was
// needed.
func (r Root) complete() error {
	for _, name := range r.rootPackages() {
		if _, err := os.Stat(filepath.Join(r.Path, "var/lib/dpkg/info", name+".list")); r.Suite != "" && err != nil {
			return fmt.Errorf("%s has no package %s: %w", r.Path, name, ErrMissing)
		}
	}
	return nil
}

// SetUp installs the Debian packages that tests need and that are missing, and
// makes the roots that are missing or hold another systemd than wanted. It
// needs root, on Debian, and writes to out what it does and which versions it
// found. When all is there it changes nothing and takes a fraction of a second.
// Two may run at once: the second waits for the first. A root appears under its
// name when it is complete. Do not replace one while a machine runs from it.
func SetUp(ctx context.Context, out io.Writer) error {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("setting up roots needs root, runs as user %d", uid)
	}
	if err := os.MkdirAll(Dir(), 0o755); err != nil {
		return err
	}
	lock, err := lockFile(filepath.Join(Dir(), ".lock"))
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := installMissing(ctx, out); err != nil {
		return err
	}
	if err := downloadMissing(ctx, out); err != nil {
		return err
	}
	for _, r := range all() {
		if err := r.ensure(ctx, out); err != nil {
			return err
		}
	}
	return nil
}

// lockFile waits for the lock, which ends when the file is closed.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(os.NewSyscallError("flock", err), f.Close())
	}
	return f, nil
}

// installMissing installs those of hostPackages that are not.
func installMissing(ctx context.Context, out io.Writer) error {
	args := append([]string{"-W", "-f", "${Package} ${db:Status-Status}\n"}, hostPackages[:]...)
	list, err := exec.CommandContext(ctx, "dpkg-query", args...).Output()
	var exit *exec.ExitError // for a package dpkg has never heard of
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("list installed packages: %w", err)
	}
	missing := missingPackages(string(list))
	if len(missing) == 0 {
		return nil
	}
	_, _ = fmt.Fprintf(out, "installing %s\n", strings.Join(missing, " "))
	if err := run(ctx, "apt-get", "update"); err != nil {
		return err
	}
	return run(ctx, "apt-get", append([]string{"install", "-y", "--no-install-recommends"}, missing...)...)
}

// missingPackages returns those of hostPackages that dpkg-query did not list as
// installed.
func missingPackages(list string) []string {
	installed := strings.Split(list, "\n")
	return slices.DeleteFunc(slices.Clone(hostPackages[:]), func(name string) bool {
		return slices.Contains(installed, name+" installed")
	})
}

// downloadMissing downloads those of machinePackages that were not. A file
// appears under its name when it is complete.
func downloadMissing(ctx context.Context, out io.Writer) error {
	missing := slices.DeleteFunc(slices.Clone(machinePackages[:]), func(name string) bool {
		_, err := Package(name)
		return err == nil
	})
	if len(missing) == 0 {
		return nil
	}
	_, _ = fmt.Fprintf(out, "downloading %s\n", strings.Join(missing, " "))
	dir := filepath.Join(packageDir(), ".new")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	download := append([]string{"-C", dir, "apt-get", "-o", "APT::Sandbox::User=root", "download"}, missing...)
	if err := run(ctx, "env", download...); err != nil {
		// The lists of packages may be missing, or too old.
		if err := run(ctx, "apt-get", "update"); err != nil {
			return err
		}
		if err := run(ctx, "env", download...); err != nil {
			return err
		}
	}
	files, err := os.ReadDir(dir)
	for _, file := range files {
		err = errors.Join(err, os.Rename(filepath.Join(dir, file.Name()), filepath.Join(packageDir(), file.Name())))
	}
	return err
}

// ensure makes the root unless it is there, and reports its version. The host's
// own root can only be reported.
func (r Root) ensure(ctx context.Context, out io.Writer) error {
	found, err := r.inspect()
	if err == nil {
		err = r.complete()
	}
	if err == nil {
		_, _ = fmt.Fprintf(out, "%s: systemd %s\n", found.Path, found.Systemd)
		return nil
	}
	_, _ = fmt.Fprintln(out, err)
	if r.Suite == "" {
		return nil // the tests for this version are skipped
	}
	mirror, err := findMirror(ctx)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "%s: debootstrap %s, a minute or two\n", r.Path, r.Suite)
	if err := r.build(ctx, mirror); err != nil {
		return fmt.Errorf("make %s: %w", r.Path, err)
	}
	if found, err = r.inspect(); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "%s: systemd %s\n", found.Path, found.Systemd)
	return nil
}

// build makes the root beside its place and puts it there, in exchange for what
// was there before.
func (r Root) build(ctx context.Context, mirror string) error {
	made := r
	made.Path = filepath.Join(filepath.Dir(r.Path), ".new-"+r.Suite)
	if err := os.RemoveAll(made.Path); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(made.Path) }()
	err := run(ctx, "debootstrap", "--variant=minbase", "--include="+strings.Join(r.rootPackages(), ","), r.Suite, made.Path, mirror)
	if err == nil {
		err = run(ctx, "chroot", made.Path, "apt-get", "clean")
	}
	if err == nil {
		_, err = made.inspect()
	}
	if err != nil {
		return err
	}
	if err := os.Rename(made.Path, r.Path); !errors.Is(err, os.ErrExist) {
		return err
	}
	err = unix.Renameat2(unix.AT_FDCWD, made.Path, unix.AT_FDCWD, r.Path, unix.RENAME_EXCHANGE)
	return os.NewSyscallError("renameat2", err)
}

// findMirror asks apt for the mirror of Debian that this host uses.
func findMirror(ctx context.Context) (string, error) {
	for _, update := range []bool{false, true} {
		if update {
			// Without the lists apt does not know whose mirrors it has.
			if err := run(ctx, "apt-get", "update"); err != nil {
				return "", err
			}
		}
		cmd := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(LABEL)|$(COMPONENT)|$(REPO_URI)",
			"Created-By: Packages")
		list, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("apt-get indextargets: %w", err)
		}
		if mirror, err := ParseMirror(string(list)); err == nil || update {
			return mirror, err
		}
	}
	return "", nil
}

// ParseMirror finds the mirror of Debian's main archive in lines of
// LABEL|COMPONENT|REPO_URI.
func ParseMirror(list string) (string, error) {
	for line := range strings.Lines(list) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		if len(fields) != 3 || fields[0] != "Debian" || fields[1] != "main" {
			continue
		}
		u, err := url.Parse(fields[2])
		if err == nil && slices.Contains([]string{"http", "https", "file"}, u.Scheme) {
			return fields[2], nil
		}
	}
	return "", fmt.Errorf("apt's sources have no mirror of Debian main that debootstrap can use: %q", list)
}

// run runs a command in a mount namespace of its own, so that what debootstrap
// mounts goes with it even when it is killed. The end of its output becomes
// part of the error.
func run(ctx context.Context, name string, args ...string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, tail(out.String(), 20))
	}
	return nil
}

// tail returns the last n lines.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
