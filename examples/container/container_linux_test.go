package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/examples/container/internal/pod"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

const (
	site  = "http://127.0.0.1:8080"
	admin = "http://127.0.0.1:8081"
)

// A container is links at work.
type container struct {
	*pod.Pod
	t      *testing.T
	config string // the folder that is /etc/links inside
}

// start starts links with a first configuration.
func start(t *testing.T, args ...string) *container {
	t.Helper()
	c := &container{t: t, config: t.TempDir()}
	c.write("one", `{"docs": "https://example.org/one"}`)
	c.Pod = pod.Start(t, pod.Spec{
		Program: pod.Build(t),
		Path:    "/usr/bin/links",
		Args:    args,
		Env:     []string{"GORACE=atexit_sleep_ms=0", "HEIRLOOM_STOP_TIMEOUT=200s"},
		Mounts:  map[string]string{"/etc/links": c.config},
		Scratch: []string{"/tmp"},
	})
	c.until("to be ready", admin+"/readyz", "200")
	return c
}

// write replaces the configuration as the kubelet does: all of the folder at a
// time, by the rename of a link.
func (c *container) write(revision, text string) {
	c.t.Helper()
	data, link := filepath.Join(c.config, ".."+revision), filepath.Join(c.config, "..new")
	for _, err := range []error{
		os.Chmod(c.config, 0o755),
		os.Mkdir(data, 0o755),
		os.WriteFile(filepath.Join(data, "links.json"), []byte(text), 0o644),
		os.Symlink(".."+revision, link),
		os.Rename(link, filepath.Join(c.config, "..data")),
	} {
		if err != nil {
			c.t.Fatal(err)
		}
	}
	err := os.Symlink("..data/links.json", filepath.Join(c.config, "links.json"))
	if err != nil && !os.IsExist(err) {
		c.t.Fatal(err)
	}
}

// ask is the status of curl's answer and where that leads to.
func (c *container) ask(url string) (status, location string) {
	out, _ := c.Command("curl", "-s", "-m", "10", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", url).Output()
	status, location, _ = strings.Cut(string(out), " ")
	return status, location
}

func (c *container) until(what, url, want string) {
	c.t.Helper()
	pod.Wait(c.t, what, func() bool {
		status, _ := c.ask(url)
		return status == want
	})
}

func (c *container) leadsTo(want string) {
	c.t.Helper()
	if status, location := c.ask(site + "/docs"); status != "302" || location != want {
		c.t.Errorf("/docs leads to %s %s, want %s", status, location, want)
	}
}

func (c *container) status() lifecycle.Status {
	c.t.Helper()
	s, err := c.askStatus()
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// askStatus may be too late for one program, and too early for the next.
func (c *container) askStatus() (s lifecycle.Status, err error) {
	out, err := c.Exec("status", "-json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &s)
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return s, err
}

// serves waits until that generation serves, in the same process.
func (c *container) serves(generation int) {
	c.t.Helper()
	pod.Wait(c.t, "the next program", func() bool {
		s, err := c.askStatus()
		if err != nil {
			return false
		}
		if s.PID != 1 {
			c.t.Errorf("process %d serves", s.PID)
		}
		return s.Generation == generation && s.State == lifecycle.Ready
	})
}

// clients returns the ports of those who are connected to the site.
func (c *container) clients() []string {
	c.t.Helper()
	table, err := c.Command("cat", "/proc/net/tcp").Output()
	if err != nil {
		c.t.Fatal(err)
	}
	established := regexp.MustCompile(`(?m)^ *\d+: 0100007F:([0-9A-F]{4}) 0100007F:1F90 01 `) // 1F90 is 8080, 01 ESTABLISHED
	var ports []string
	for _, match := range established.FindAllSubmatch(table, -1) {
		ports = append(ports, string(match[1]))
	}
	slices.Sort(ports)
	return ports
}

// connections is how many wrk has.
const connections = 20

// wrkArgs have wrk ask over so many connections, until it is told to end.
func wrkArgs(connections int) []string {
	timeout := min(patience.Of(10*time.Second), time.Minute) // a longer one takes a lot of memory
	return []string{"-t1", "-c" + strconv.Itoa(connections), "-d10h", "--timeout", fmt.Sprintf("%.0fs", timeout.Seconds())}
}

// A load is wrk at work.
type load struct {
	t   *testing.T
	cmd *exec.Cmd
	out bytes.Buffer
}

func (c *container) load() *load {
	c.t.Helper()
	l := &load{t: c.t, cmd: c.Command("wrk", append(wrkArgs(connections), "--latency", site+"/docs")...)}
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &l.out
	if err := l.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	pod.Wait(c.t, "wrk to connect", func() bool {
		conns := c.status().Connections
		return conns.Active+conns.Idle >= connections && len(c.clients()) == connections
	})
	return l
}

// judge ends wrk, and fails the test if one request was broken.
func (l *load) judge() {
	l.t.Helper()
	if err := l.cmd.Process.Signal(syscall.SIGINT); err != nil {
		l.t.Fatal(err)
	}
	err := l.cmd.Wait()
	out := l.out.String()
	if err != nil || strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") || !strings.Contains(out, " requests in ") {
		l.t.Errorf("wrk: %v", err)
	}
	l.t.Log(out)
}

// TestReload has process 1 replaced by the command and by the signal, and then
// given a configuration that is bad.
func TestReload(t *testing.T) {
	c := start(t)
	load := c.load()
	before := c.clients()
	c.leadsTo("https://example.org/one")

	c.write("two", `{"docs": "https://example.org/two", "more": "https://example.org/more"}`)
	if out, err := c.Exec("reload"); err != nil || !strings.Contains(out, "generation 2") {
		t.Errorf("reload: %v: %s", err, out)
	}
	c.serves(2)
	c.leadsTo("https://example.org/two")

	c.write("three", `{"docs": "https://example.org/three"}`)
	c.Signal(syscall.SIGHUP)
	c.serves(3)
	c.leadsTo("https://example.org/three")

	c.write("four", `{"docs": "three, as before"}`)
	if out, err := c.Exec("reload"); err == nil || !strings.Contains(out, `"three, as before"`) {
		t.Errorf("reload: %v: %s", err, out)
	}
	refused := c.status().LastReload
	c.Signal(syscall.SIGHUP)
	pod.Wait(t, "the signal to be refused, too", func() bool {
		last := c.status().LastReload
		return last.Result == "failed" && last.At.After(refused.At)
	})
	c.serves(3)
	c.leadsTo("https://example.org/three")
	if after := c.clients(); len(before) != connections || !slices.Equal(after, before) {
		t.Errorf("wrk has connections from ports %v, it had %v", after, before)
	}
	load.judge()
	if left := c.Processes(); len(left) != 1 {
		t.Errorf("processes %v are left", left)
	}
}

// TestStop is what happens when Kubernetes takes a pod away: it serves on until
// whoever sends it requests has seen that it will not, and is gone in time.
func TestStop(t *testing.T) {
	lameDuck := min(patience.Of(10*time.Second), 99*time.Second) // half of what there is, at most
	c := start(t, "-lame-duck", lameDuck.String())
	load := c.load()
	begin := time.Now()
	c.Signal(syscall.SIGTERM)
	c.until("readiness to be denied", admin+"/readyz", "503")
	noticed := time.Since(begin)
	for time.Since(begin) < lameDuck/2 { // so long it takes until everybody has been told
		c.leadsTo("https://example.org/one") // over a new connection
		for url, want := range map[string]string{admin + "/readyz": "503", admin + "/healthz": "200"} {
			if status, _ := c.ask(url); status != want {
				t.Errorf("%s says %s, want %s", url, status, want)
			}
		}
	}
	load.judge()
	if !strings.Contains(c.Log(), `"from":"environment","requests":"3m18s","timeout":"3m20s"`) {
		t.Error("HEIRLOOM_STOP_TIMEOUT is not heeded")
	}
	if balanced := time.Since(begin); noticed > lameDuck/2 || balanced > lameDuck {
		t.Errorf("readiness was denied after %v, and the load gone after %v: too late to tell anything", noticed, balanced)
	}
	select {
	case err := <-c.Ended():
		if took := time.Since(begin); err != nil || took < lameDuck {
			t.Errorf("it ended after %v with %v", took, err)
		}
	case <-time.After(patience.Of(30 * time.Second)):
		t.Error("it still runs after HEIRLOOM_STOP_TIMEOUT")
	}
}

// TestBadStart ends at once, so that a roll-out stops, and says why in a line
// of the log.
func TestBadStart(t *testing.T) {
	cmd := exec.Command(pod.Build(t), "-config", "links.heirloom")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err == nil || !json.Valid(out) || !strings.Contains(string(out), "links.heirloom: invalid character") {
		t.Errorf("%v: %s", err, out)
	}
}
