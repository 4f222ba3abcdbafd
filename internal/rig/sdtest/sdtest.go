package sdtest

import (
	"hash/fnv"
	"os"
	"strconv"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest/roots"
)

// Version is a major version of systemd.
type Version int

// The versions tested: Debian 12 (the host's own root), Debian 13, and Debian
// unstable, where a newer one than 262 stands in for it.
const (
	V252 Version = 252
	V257 Version = 257
	V262 Version = 262
)

// Versions returns all versions, oldest first.
func Versions() []Version { return []Version{V252, V257, V262} }

// String returns the number alone, as in "257": it serves as the name of a
// subtest.
func (v Version) String() string { return strconv.Itoa(int(v)) }

// Rounds is how often a test should do on systemd v what shows its faults
// seldom: n times if HEIRLOOM_TEST_ALL has the value "true". Else, to save
// time, it is a third of that on the newest version, three times at least if n
// is that, and an eighth on the others.
func Rounds(v Version, n int) int {
	switch {
	case os.Getenv("HEIRLOOM_TEST_ALL") == "true":
		return n
	case v == V262:
		return max(n/3, min(n, 3))
	default:
		return max(n/8, 1)
	}
}

// Turn returns the versions that a test of that name runs on: the newest and one
// of the older ones, or all if HEIRLOOM_TEST_ALL has the value "true". Which of
// the older ones follows from the name, so that each has half of the tests.
func Turn(test string) []Version {
	if os.Getenv("HEIRLOOM_TEST_ALL") == "true" {
		return Versions()
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(test))
	if hash.Sum32()%2 == 0 {
		return []Version{V252, V262}
	}
	return []Version{V257, V262}
}

// Thorough reports whether a test should try every variant on systemd v: on the
// newest, or on each if HEIRLOOM_TEST_ALL has the value "true". Else the
// variants take turns on the others.
func Thorough(v Version) bool { return v == V262 || os.Getenv("HEIRLOOM_TEST_ALL") == "true" }

// TB is the part of testing.TB that machines need, so that a program that is no
// test can have one as well. As with testing.TB, Fatalf and Skipf do not
// return, and whoever gives another than a test's calls what Cleanup was given,
// last to first.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Failed() bool
	Cleanup(f func())
}

// Require skips the test unless a machine with systemd v can be booted here,
// and says what is missing. Where nothing may be missing, which the environment
// variable CI or HEIRLOOM_REQUIRE_ALL says with the value "true", it fails the
// test instead.
func Require(t TB, v Version) {
	t.Helper()
	require(t, v)
}

// Boot boots systemd v and returns when it has reached multi-user.target with
// no job left. It calls [Require] first, so it may skip the test, and it fails
// the test if the machine is not up within a minute, or what package patience
// makes of that.
//
// When the test ends the machine is switched off at once, without stopping its
// services, and nothing of it is left. If the test failed, the end of the
// machine's journal is logged before that.
func Boot(t TB, v Version) *Machine {
	t.Helper()
	root := require(t, v)
	c, err := boot(root.Path)
	if err != nil {
		t.Fatalf("boot systemd %d from %s: %v", v, root.Path, err)
	}
	m := &Machine{t: t, core: c}
	t.Cleanup(m.end)
	return m
}

// require is Require that returns the root to boot from.
func require(t TB, v Version) roots.Root {
	t.Helper()
	root, err := find(v)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true" || os.Getenv("HEIRLOOM_REQUIRE_ALL") == "true":
		t.Fatalf("systemd %d: %v", v, err)
	default:
		t.Skipf("systemd %d: %v", v, err)
	}
	return root
}

// find returns the root for v, or why it cannot be booted here.
func find(v Version) (roots.Root, error) {
	if err := checkHost(); err != nil {
		return roots.Root{}, err
	}
	return roots.Find(int(v))
}
