package fleet_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest/roots"
)

// fleet is the hosts of the inventory, and the machine of who rolls out. All
// boot from the root of systemd 252, whose Debian has this Ansible.
type fleet struct {
	t       *testing.T
	control *sdtest.Machine
	hosts   []*host
}

// newFleet boots the machines, in a network of their own, with hello v1 on so
// many of the hosts of the inventory. The others are not in it.
func newFleet(t *testing.T, hosts int) *fleet {
	t.Helper()
	sdtest.Require(t, sdtest.V252)
	require(t)
	network := sdtest.NewNetwork(t)
	f := &fleet{t: t, control: sdtest.Boot(t, sdtest.V252)}
	f.control.Join(network, "192.0.2.254/24")
	f.copyFiles(hosts)
	f.control.MustRun("rm", "-rf", "/root/.ssh")
	f.control.MustRun("mkdir", "-m", "700", "/root/.ssh")
	names, known := "127.0.0.1 localhost\n", ""
	client := f.key("/root/.ssh/id_ed25519")
	for i := range hosts {
		name, address := fmt.Sprintf("hello%d.example.org", i+1), fmt.Sprintf("192.0.2.%d", i+1)
		h := &host{Machine: sdtest.Boot(t, sdtest.V252), t: t, name: name}
		h.Join(network, address+"/24")
		public := f.key("/root/" + name)
		h.serveSSH(f.control.MustRun("cat", "/root/"+name), client)
		h.install(packed(t, "1"))
		names += address + " " + name + "\n"
		known += name + " " + public
		f.hosts = append(f.hosts, h)
	}
	f.control.WriteFile("/etc/hosts", names, 0o644)
	f.control.WriteFile("/etc/ssh/ssh_known_hosts", known, 0o644)
	return f
}

// require skips the test for what else is missing, or fails it where nothing
// may be missing: see sdtest.Require.
func require(t *testing.T) {
	t.Helper()
	_, err := roots.Package("openssh-server")
	for _, program := range []string{"ansible-playbook", "yamllint", "ssh", "wrk"} {
		_, missing := exec.LookPath(program)
		err = errors.Join(err, missing)
	}
	switch {
	case err == nil:
	case os.Getenv("CI") == "true" || os.Getenv("HEIRLOOM_REQUIRE_ALL") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

// key makes a key and returns its public half.
func (f *fleet) key(path string) string {
	f.t.Helper()
	f.control.MustRun("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "fleet", "-f", path)
	return f.control.MustRun("cat", path+".pub")
}

// copyFiles brings this folder to the machine of who rolls out, and the
// packages with it.
func (f *fleet) copyFiles(hosts int) {
	f.t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch filepath.Ext(path) {
		case ".yml", ".cfg":
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			lines := string(text)
			if path == "inventory.yml" {
				lines = strings.Join(strings.SplitAfter(lines, "\n")[:3+hosts], "")
			}
			f.control.WriteFile("/root/fleet/"+filepath.ToSlash(path), lines, 0o644)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, version := range versions {
		path := packed(f.t, version)
		f.control.Install(path, "/root/fleet/packages/"+filepath.Base(path))
	}
}

// A rollout is an ansible-playbook at work.
type rollout struct {
	t     *testing.T
	cmd   *sdtest.Command
	began time.Time
}

// begin does what the README says, and does not wait for its end.
func (f *fleet) begin(version string, args ...string) *rollout {
	f.t.Helper()
	command := []string{"-C", "/root/fleet", "ansible-playbook", "rollout.yml", "-e", "hello_version=" + version,
		"-e", "hello_suffix=-1_" + runtime.GOARCH + ".deb"}
	r := &rollout{t: f.t, began: time.Now(), cmd: f.control.Start("env", append(command, args...)...)}
	f.t.Cleanup(func() {
		if f.t.Failed() {
			f.t.Logf("the roll-out of %s:\n%s", version, r.cmd.Output())
		}
	})
	return r
}

// says waits until it has said something, however slow it is.
func (r *rollout) says(text string) {
	r.t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !strings.Contains(r.cmd.Output(), text) {
		select {
		case <-look.C:
		case <-r.cmd.Done():
			r.t.Fatalf("it never said %q", text)
		}
	}
}

// end waits for the end.
func (r *rollout) end() (string, error) {
	out, err := r.cmd.Wait()
	r.t.Logf("the roll-out took %v", time.Since(r.began))
	return out, err
}

// done fails the test unless the roll-out came to its end, with so many changes
// on each of so many hosts.
func (r *rollout) done(hosts, changed int) {
	r.t.Helper()
	out, err := r.end()
	if err != nil {
		r.t.Fatal("the roll-out failed")
	}
	recap := regexp.MustCompile(fmt.Sprintf(`(?m)^hello\d\.example\.org .*changed=%d +unreachable=0 +failed=0 `, changed))
	if lines := recap.FindAllString(out, -1); len(lines) != hosts {
		r.t.Errorf("want changed=%d on %d hosts, got %q", changed, hosts, lines)
	}
}

// fails fails the test unless the roll-out failed and said so.
func (r *rollout) fails(texts ...string) {
	r.t.Helper()
	out, err := r.end()
	if err == nil {
		r.t.Fatal("the roll-out did not fail")
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			r.t.Errorf("it does not say %q", text)
		}
	}
}

// TestRollOut upgrades a fleet that is busy: of one host, or as the inventory
// has it if HEIRLOOM_TEST_ALL says so, and then in more ways.
func TestRollOut(t *testing.T) {
	all, n := os.Getenv("HEIRLOOM_TEST_ALL") == "true", 1
	if all {
		n = 3
	}
	f := newFleet(t, n)
	f.control.MustRun("env", "-C", "/root/fleet", "yamllint", "--strict", ".")
	for _, h := range f.hosts {
		h.begin()
	}
	if all {
		f.begin("2", "--check").done(n, 1)
		f.expect("1", 1, 1)
	}
	release := f.hosts[0].hold(1)
	upgrade := f.begin("2")
	upgrade.says("TASK [Wait for the process that was replaced to finish]")
	release()
	upgrade.done(n, 2)
	f.expect("2", 2, 2)
	f.oneByOne(2, 2)

	f.begin("3").fails("hello1.example.org", "hello 2 serves, not 3", "ended before it was ready",
		"hello1.example.org has hello 2 as before, for hello 3 did not come up (Expect the version that is wanted: hello 2 serves, not 3")
	f.expect("2", 3, 2) // its third is of the package that was put back

	if all {
		f.begin("2", "--limit", "hello1.example.org").done(1, 0)
		f.expect("2", 3, 2)
		f.begin("4").done(n, 2)
		f.expect("4", 4, 3)
		f.oneByOne(4, 3)
	}

	before := f.hosts[0].status()
	last := f.hosts[n-1]
	last.stopSSH()
	f.begin("1").fails("UNREACHABLE", last.name)
	f.expect(before.Version, before.Generation, before.Generation-1)
	for _, h := range f.hosts {
		h.end()
	}
}

// TestOddHosts rolls out to one host that is not as the others.
func TestOddHosts(t *testing.T) {
	if os.Getenv("HEIRLOOM_TEST_ALL") != "true" {
		return // it takes long
	}
	f := newFleet(t, 2)
	h := f.hosts[0]
	h.begin()
	only := []string{"--limit", h.name}

	f.begin("5", only...).fails(h.name + " has hello 1 as before, for hello 5 did not come up (Ask what runs now: non-zero return code)")
	f.expect("1", 2, 1)

	// The roll-out before was broken off between the package and its reload.
	h.WriteFile("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
	h.install(packed(t, "2"))
	h.MustRun("rm", "/usr/sbin/policy-rc.d")
	f.begin("2", only...).done(1, 2) // brought, and reloaded
	if s := h.status(); s.Version != "2" || s.Generation != 3 {
		t.Errorf("generation %d of %s serves", s.Generation, s.Version)
	}

	f.control.MustRun("rm", "/root/fleet/packages/"+filepath.Base(packed(t, "2")))
	f.begin("4", only...).fails("hello 2 is ready. It has to be ready, and both ")
	if s := h.status(); s.Version != "2" || s.Generation != 3 {
		t.Errorf("generation %d of %s serves", s.Generation, s.Version)
	}
	h.end()

	f.hosts[1].MustRun("dpkg", "--purge", "hello")
	f.begin("4", "--limit", f.hosts[1].name).done(1, 2)
	if s := f.hosts[1].status(); s.Version != "4" || s.Generation != 1 {
		t.Errorf("generation %d of %s serves", s.Generation, s.Version)
	}
	f.hosts[1].MustRun("dpkg", "--purge", "hello")
	f.begin("3", "--limit", f.hosts[1].name).fails(f.hosts[1].name + " has no hello that runs, for hello 3 did not come up")
}
