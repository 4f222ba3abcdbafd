package lifecycle_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

var profiled = lifecycle.Options{ProfileSignals: []os.Signal{syscall.SIGUSR2}}

// TestProfile starts and stops a profile by signals, twice, and has the end of
// the service stop a third.
func TestProfile(t *testing.T) {
	options := profiled
	options.ProfileDirectory = t.TempDir()
	p := newPatient(t, options)
	p.run()
	p.awaitState(lifecycle.Ready)
	for i := 1; i <= 2; i++ {
		signalSelf(t, syscall.SIGUSR2)
		p.awaitLogs("CPU profile started", i)
		signalSelf(t, syscall.SIGUSR2)
		p.awaitLogs("heap profile written", i)
	}
	signalSelf(t, syscall.SIGUSR2)
	p.awaitLogs("CPU profile started", 3)
	p.stop()
	p.awaitEnd()
	signalSelf(t, syscall.SIGUSR2)
	checkProfiles(t, options.ProfileDirectory, "patient", os.Getpid(), 3)
	for _, path := range profilesOf(t, options.ProfileDirectory, "patient", os.Getpid()) {
		if !strings.Contains(p.log.String(), "file="+path+"\n") {
			t.Errorf("the log does not name %s", path)
		}
	}
}

// TestNoProfile wants profiles that cannot be had: the service goes on.
func TestNoProfile(t *testing.T) {
	t.Run("of a program that profiles itself", func(t *testing.T) {
		options := profiled
		options.ProfileDirectory = t.TempDir()
		if err := pprof.StartCPUProfile(io.Discard); err != nil {
			t.Fatal(err)
		}
		defer pprof.StopCPUProfile()
		wantNoProfile(t, options, "already in use")
		if entries, err := os.ReadDir(options.ProfileDirectory); err != nil || len(entries) > 0 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
	})
	t.Run("where there is no folder", func(t *testing.T) {
		options := profiled
		options.ProfileDirectory = filepath.Join(t.TempDir(), "missing")
		wantNoProfile(t, options, "no such file or directory")
	})
}

func wantNoProfile(t *testing.T, options lifecycle.Options, reason string) {
	t.Helper()
	p := newPatient(t, options)
	p.run()
	p.awaitState(lifecycle.Ready)
	signalSelf(t, syscall.SIGUSR2)
	p.awaitLog("cannot start a CPU profile")
	p.awaitLog(reason)
	p.awaitState(lifecycle.Ready)
	p.stop()
	p.awaitEnd()
}

// TestProfileOfReplaced replaces a process, beside and in place, of which a
// profile is being made: its files are whole.
func TestProfileOfReplaced(t *testing.T) {
	t.Parallel()
	for _, replace := range []string{"beside", "in-place"} {
		t.Run(replace, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=watched", "HEIRLOOM_TEST_PROFILES="+dir, "HEIRLOOM_TEST_REPLACE="+replace)
			first := d.status().PID
			d.signal(syscall.SIGUSR2)
			d.eventually("the profile to start", func() bool { return strings.Contains(d.logged(), "CPU profile started") })
			d.reload()
			d.eventually("one process to be left", func() bool { return len(d.processes()) == 1 })
			checkProfiles(t, dir, "daemon", first, 1)
			second := d.status()
			if second.Generation != 2 {
				t.Errorf("generation %d serves, want 2", second.Generation)
			}
			for i := range 2 { // its successor can be profiled as well
				d.signal(syscall.SIGUSR2)
				text := []string{"CPU profile started", "heap profile written"}[i]
				d.eventually(text, func() bool { return strings.Count(d.logged(), text) == 2 })
			}
			want := 1
			if second.PID == first {
				want = 2
			}
			checkProfiles(t, dir, "daemon", second.PID, want)
		})
	}
}

// TestProfileOnFullDisk writes profiles where there is no room.
func TestProfileOnFullDisk(t *testing.T) {
	t.Parallel()
	d := startManagedRole(t, sdtest.V252, "watched", "tcp!127.0.0.1:8080", "",
		"TemporaryFileSystem=/profiles:size=64k", "Environment=HEIRLOOM_TEST_PROFILES=/profiles HEIRLOOM_TEST_FILL=yes")
	clients := d.connect(1)
	usr2 := func() { d.machine.MustRun("systemctl", "kill", "--kill-whom=main", "-s", "USR2", "daemon.service") }
	usr2()
	d.awaitJournal("CPU profile started")
	usr2()
	d.awaitJournal("cannot write the CPU profile: error=\"write /profiles/daemon-")
	d.awaitJournal("cannot write the heap profile: error=\"write /profiles/daemon-")
	d.awaitJournal("no space left on device")
	d.mustExchange(clients, 1)
	pid := d.machine.Property("daemon.service", "MainPID")
	left := d.machine.MustRun("ls", "/proc/"+pid+"/root/profiles")
	if left != "full\n" {
		t.Errorf("left behind: %q", left)
	}
}

// awaitJournal waits until the service has said text, and returns the journal.
func (d *managedDaemon) awaitJournal(text string) (journal string) {
	d.t.Helper()
	err := eventually(func() bool {
		journal = d.machine.Journal("-u", "daemon.service", "-o", "cat")
		return strings.Contains(journal, text)
	})
	if err != nil {
		d.t.Fatalf("the journal has no %q", text)
	}
	return journal
}

func (p *patient) awaitLogs(text string, n int) {
	p.t.Helper()
	if err := eventually(func() bool { return strings.Count(p.log.String(), text) == n }); err != nil {
		p.t.Fatalf("the log has %q %d times, want %d", text, strings.Count(p.log.String(), text), n)
	}
}

var profileName = regexp.MustCompile(`^(\w+)-(\d+)-\d{8}T\d{6}\.\d{3}Z\.(cpu|heap)\.pprof$`)

func profilesOf(t *testing.T, dir, name string, pid int) (paths []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		parts := profileName.FindStringSubmatch(e.Name())
		if parts == nil {
			t.Errorf("%s is no name of a profile", e.Name())
		} else if parts[1] == name && parts[2] == strconv.Itoa(pid) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths
}

// checkProfiles checks that process pid has written so many profiles of each
// kind, whole, and for no eyes but its own.
func checkProfiles(t *testing.T, dir, name string, pid, want int) {
	t.Helper()
	found := map[string]int{}
	for _, path := range profilesOf(t, dir, name, pid) {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
		kind, sample := "cpu", "samples/count cpu/nanoseconds"
		if strings.HasSuffix(path, ".heap.pprof") {
			kind, sample = "heap", "alloc_objects/count"
		}
		found[kind]++
		pprof := exec.Command("go", "tool", "pprof", "-raw", path)
		pprof.Env = append(os.Environ(), "CGO_ENABLED=0") // go may have to build it, as it builds other programs
		out, err := pprof.CombinedOutput()
		if err != nil || !strings.Contains(string(out), sample) {
			t.Errorf("go tool pprof -raw %s: %v\n%.1000s", path, err, out)
		}
	}
	if found["cpu"] != want || found["heap"] != want {
		t.Errorf("profiles of process %d: %v, want %d of each kind", pid, found, want)
	}
}
