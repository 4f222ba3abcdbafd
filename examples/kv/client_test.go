package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

const site = "http://127.0.0.1:8090"

// Writers are several loops of curl that write keys and remove some of them,
// and what is known of each key.
type writers struct {
	t        *testing.T
	m        *sdtest.Machine
	prefix   string
	stopping atomic.Bool
	ended    [3]chan []string // what was not as it should be, from each loop when it has ended
	problems []string

	advanced chan struct{}      // has room for one batch that was written
	known    [3]map[string]bool // whether a key is there, by loop
}

// seconds is a limit in time for this machine, as programs are told it.
func seconds(d time.Duration) string { return fmt.Sprint(int(patience.Of(d).Seconds())) }

// batch is how many keys one curl writes, on one connection. It removes the
// first tenth of them again.
const batch = 50

// write starts curl, which writes keys that begin with a prefix, until it is
// stopped.
func write(t *testing.T, m *sdtest.Machine, prefix string) *writers {
	t.Helper()
	w := &writers{t: t, m: m, prefix: prefix, advanced: make(chan struct{}, 1)}
	for i := range w.ended {
		w.ended[i], w.known[i] = make(chan []string, 1), map[string]bool{}
		go func() {
			var problems []string
			for n := 0; !w.stopping.Load(); n++ {
				name := fmt.Sprintf("%s-%d-%d-", prefix, i, n)
				problems = append(problems, w.curl(i, http.MethodPut, "201", name, batch)...)
				problems = append(problems, w.curl(i, http.MethodDelete, "204", name, batch/10)...)
				select {
				case w.advanced <- struct{}{}:
				default:
				}
			}
			w.ended[i] <- problems
		}()
	}
	t.Cleanup(func() { w.stopping.Store(true) })
	return w
}

// curl asks for n keys. It notes what was acknowledged, and returns what was
// not, or by another connection than the first: curl repeats requests that were
// broken on a connection that had been used before.
func (w *writers) curl(loop int, method, want, name string, n int) (problems []string) {
	args := []string{"-sS", "-m", seconds(time.Minute), "-X", method, "-o", "/dev/null", "-w", "%{http_code} %{num_connects} %{url}\n", fmt.Sprintf("%s/keys/%s[1-%d]", site, name, n)}
	if method == http.MethodPut {
		args = append(args, "-d", "value of "+name)
	}
	cmd := exampletest.Command(w.t, w.m, "curl", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		problems = append(problems, fmt.Sprintf("%v: %s", err, &stderr))
	}
	answered := 0
	for line := range strings.Lines(string(out)) {
		code, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		connects, url, _ := strings.Cut(rest, " ")
		key := url[strings.LastIndexByte(url, '/')+1:]
		if code != want || connects != "0" && answered > 0 {
			problems = append(problems, fmt.Sprintf("%s: %s", method, line))
		}
		if code == want {
			w.known[loop][key] = method == http.MethodPut
		} else {
			delete(w.known[loop], key) // it may be there or not
		}
		answered++
	}
	if answered != n {
		problems = append(problems, fmt.Sprintf("%s %s: %d of %d were answered", method, name, answered, n))
	}
	return problems
}

// mustAdvance waits until more was written.
func (w *writers) mustAdvance() {
	w.t.Helper()
	for range 2 { // the first may have been written before
		select {
		case <-w.advanced:
		case <-time.After(patience.Of(30 * time.Second)):
			w.t.Fatal("nothing is written")
		}
	}
}

// stop waits until all has been answered.
func (w *writers) stop() {
	w.t.Helper()
	w.stopping.Store(true)
	for i := range w.ended {
		w.problems = append(w.problems, <-w.ended[i]...)
	}
}

// judge fails the test if one write was not acknowledged.
func (w *writers) judge() {
	for _, problem := range w.problems {
		w.t.Error(problem)
	}
}

// check fails the test unless the store has what it acknowledged.
func (w *writers) check() {
	w.t.Helper()
	c := client(w.t, w.m)
	there := list(w.t, c, w.prefix)
	count := map[bool]int{}
	for _, known := range w.known {
		for key, want := range known {
			count[want]++
			if there[key] != want {
				w.t.Errorf("key %s is listed: %t, want %t", key, there[key], want)
			}
			value := ""
			if want {
				value = "value of " + key[:strings.LastIndexByte(key, '-')+1]
			}
			if got := get(w.t, c, key); got != value {
				w.t.Errorf("key %s has the value %q, want %q", key, got, value)
			}
		}
	}
	w.t.Logf("%d keys are there and %d are not, as acknowledged", count[true], count[false])
	if count[true] == 0 || count[false] == 0 {
		w.t.Error("that is not enough")
	}
}

// get returns the value of a key, "" if there is none.
func get(t *testing.T, c *http.Client, key string) string {
	t.Helper()
	response, err := c.Get(site + "/keys/" + key)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	switch response.StatusCode {
	case http.StatusOK:
		return string(body)
	case http.StatusNotFound:
		return ""
	default:
		return response.Status
	}
}

// list returns all keys with a prefix that the store lists.
func list(t *testing.T, c *http.Client, prefix string) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	for after := ""; ; {
		response, err := c.Get(site + "/keys?limit=500&prefix=" + prefix + "&after=" + url.QueryEscape(after))
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		err = json.NewDecoder(response.Body).Decode(&keys)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			return there
		}
		for _, key := range keys {
			if there[key] || key <= after {
				t.Fatalf("key %s is listed again, or out of order", key)
			}
			there[key], after = true, key
		}
	}
}

// A reader is wrk at work.
type reader struct {
	t   *testing.T
	cmd *exec.Cmd
	out bytes.Buffer
}

// read starts wrk, which reads one key until it is judged.
func read(t *testing.T, m *sdtest.Machine) *reader {
	t.Helper()
	if got := <-put(t, m, "read"); got != "201" {
		t.Fatal(got)
	}
	timeout := min(patience.Of(10*time.Second), time.Minute) // a longer one takes a lot of memory
	r := &reader{t: t, cmd: exampletest.Command(t, m, "wrk", "-t1", "-c4", "-d10h", "--timeout", fmt.Sprintf("%.0fs", timeout.Seconds()),
		"--latency", site+"/keys/read")}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

// judge ends wrk, and fails the test if one request was broken.
func (r *reader) judge() {
	r.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		r.t.Fatal(err)
	}
	err := r.cmd.Wait()
	out := r.out.String()
	if err != nil || strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") || !strings.Contains(out, " requests in ") {
		r.t.Errorf("wrk: %v\n%s", err, out)
	}
	r.t.Log(out)
}

// put writes a key by curl, and delivers the status of the answer.
func put(t *testing.T, m *sdtest.Machine, key string) <-chan string {
	t.Helper()
	answer := make(chan string, 1)
	cmd := exampletest.Command(t, m, "curl", "-sS", "-m", seconds(time.Minute), "-X", "PUT", "-d", "value", "-o", "/dev/null", "-w", "%{http_code}", site+"/keys/"+key)
	go func() {
		out, err := cmd.CombinedOutput()
		if err != nil {
			out = fmt.Append(out, err)
		}
		answer <- string(out)
	}()
	return answer
}

// A slowPut is a write of which the end has not been sent.
type slowPut struct {
	answer chan string
	finish context.CancelFunc
}

func newSlowPut(t *testing.T, m *sdtest.Machine, key string) *slowPut {
	t.Helper()
	body, end := io.Pipe()
	s := &slowPut{answer: make(chan string, 1), finish: func() { _ = end.Close() }}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, site+"/keys/"+key, body)
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, m)
	go func() {
		response, err := c.Do(request)
		if err != nil {
			s.answer <- err.Error()
			return
		}
		_ = response.Body.Close()
		s.answer <- fmt.Sprint(response.StatusCode)
	}()
	return s
}
