package goaway_test

import (
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// tool returns the path of a program of the machine.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: %v", name, err)
	}
	return path
}

// reloading runs a command while generations follow each other, and returns
// what it printed.
func (d *dynasty) reloading(cmd *exec.Cmd) (string, error) {
	var out []byte
	done := make(chan error, 1)
	go func() {
		var err error
		out, err = cmd.CombinedOutput()
		done <- err
	}()
	for {
		select {
		case err := <-done:
			return string(out), err
		default:
			d.succeed()
		}
	}
}

var tally = regexp.MustCompile(`requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`)

// TestH2load counts what of h2load's requests was answered. It never opens
// another HTTP/2 connection: the requests it meant to send on one that goes away
// are "failed" though they were never sent. It even calls some of those started:
// it queues a request inside the call that reads an answer, and drops it when
// the same call reads GOAWAY.
//
// Where a connection sends all its requests at once, it is answered all of them
// or has sent none: on a busy machine h2load takes more than the second for which
// a new connection is waited for between its handshakes and its requests.
func TestH2load(t *testing.T) {
	h2load := tool(t, "h2load")
	tests := []struct {
		args   string
		atOnce int // how many each connection sends, if all at once
	}{
		{"-n 400 -c 400 -m 1", 1},
		{"-n 4000 -c 400 -m 10", 10},
		{"-n 100000 -c 50 -m 1", 0},
		{"-n 100000 -c 50 -m 10", 0},
		{"-n 100000 -c 5 -m 100", 0},
	}
	each(t, func(t *testing.T, secure bool) {
		var arrived byClient
		d := found(t, secure, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			arrived.add(r.RemoteAddr)
			ok(w, r)
		}))
		for _, tt := range tests {
			t.Run(tt.args, func(t *testing.T) {
				args := append(strings.Fields(tt.args), d.url("/"))
				for range 2 {
					for _, count := range []*byClient{&arrived, &d.streams, &d.dropped} {
						count.reset()
					}
					out, _ := d.reloading(exec.Command(h2load, args...)) // 0, whatever happened
					m := tally.FindStringSubmatch(out)
					if m == nil {
						t.Fatal(out)
					}
					t.Log(m[0])
					succeeded, err := strconv.Atoi(m[4])
					if err != nil {
						t.Fatal(err)
					}
					dropped := d.dropped.counts()
					if len(dropped) > 0 {
						t.Logf("the machine has stalled: %d connections are net/http's to drop", len(dropped))
					}
					all, kept := arrived.total(dropped)
					opened, keptOpen := d.streams.total(dropped)
					if all == 0 || succeeded < kept || succeeded > all || !secure && (succeeded < keptOpen || succeeded > opened) {
						t.Errorf("%d streams opened, %d arrived\n%s", opened, all, out)
					}
					for from, n := range arrived.counts() {
						if tt.atOnce > 0 && n != tt.atOnce && dropped[from] == 0 {
							t.Errorf("of %s %d requests have arrived, want %d\n%s", from, n, tt.atOnce, out)
						}
					}
				}
			})
		}
	})
}

// TestCurl fetches many pages with each of many curls, some of them side by
// side on one connection. Each request that curl sends is answered. Without
// TLS, curl 7.88 takes up a connection again on which it has read GOAWAY, with
// net/http's own too, and fails before it sends a request ("Error in the HTTP2
// framing layer").
func TestCurl(t *testing.T) {
	curl := tool(t, "curl")
	each(t, func(t *testing.T, secure bool) {
		var arrived atomic.Int64
		d := found(t, secure, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			arrived.Add(1)
			ok(w, r)
		}))
		protocol := "--http2-prior-knowledge"
		if secure {
			protocol = "--http2"
		}
		for _, way := range []string{"--no-parallel", "--parallel"} {
			for range 3 {
				arrived.Store(0)
				d.streams.reset()
				cmd := exec.Command(curl, "-k", "-s", "-f", "--no-progress-meter", protocol, way,
					"-w", "%{http_version} %{exitcode}\n", d.url("/[1-300]"))
				out, status := d.reloading(cmd)
				answered, unsent := strings.Count(out, "ok"), strings.Count(out, "0 16\n")
				t.Logf("%s: %d answered, %d not sent, %v", way, answered, unsent, status)
				opened, _ := d.streams.total(nil)
				if int64(answered) != arrived.Load() || answered+unsent != 300 || (secure && unsent > 0) || (!secure && answered != opened) {
					t.Errorf("%d streams opened, %d arrived\n%s", opened, arrived.Load(), out)
				}
			}
		}
	})
}

// TestNghttp multiplies one request by a hundred on one connection.
func TestNghttp(t *testing.T) {
	nghttp := tool(t, "nghttp")
	each(t, func(t *testing.T, secure bool) {
		d := found(t, secure, ok)
		for range 5 {
			out, err := d.reloading(exec.Command(nghttp, "-n", "-s", "--no-verify-peer", "-m", "100", d.url("/")))
			if got := strings.Count(out, " 200 "); got != 100 || err != nil {
				t.Errorf("%d answers, %v\n%s", got, err, out)
			}
		}
	})
}
