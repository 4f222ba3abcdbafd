package protocols_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

const (
	plain = "http://127.0.0.1:8080"
	h2c   = "http://127.0.0.1:8081"
	https = "https://127.0.0.1:8443"
)

// h2load runs h2load again and again. With HTTP/2 a run lasts until the service
// is replaced: it opens no second connection.
func h2load(name, url string, args ...string) peer {
	return peer{name: name, want: 20, run: func(l *load) string {
		journal := filepath.Join(l.dir, name)
		runs, requests, unsent := 0, 0, 0
		for ; l.running(); runs++ {
			_ = os.Remove(journal)
			cmd := l.site.command(l.done, "h2load", append(args, "--log-file="+journal, url+"/?d=40ms&c="+name)...)
			out, err := combinedOutput(cmd)
			if l.done.Err() != nil {
				break
			}
			lines, readErr := os.ReadFile(journal)
			n, problem := judgeH2load(string(out), string(lines))
			if problem != "" || err != nil || readErr != nil {
				l.breaks("%v, %v, %s: %s", err, readErr, problem, out)
			}
			requests += n.answered
			unsent += n.unsent
		}
		return fmt.Sprintf("%d requests in %d runs; %d were not sent after all", requests, runs, unsent)
	}}
}

var (
	h2loadRequests = regexp.MustCompile(
		`(?m)^requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, 0 timeout$`)
	h2loadStatus = regexp.MustCompile(`(?m)^status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx$`)
)

// A sum is what a run of h2load comes to.
type sum struct{ answered, unsent int }

// judgeH2load says what is wrong with a run, from what h2load printed and
// logged.
//
// It counts as failed and errored, besides what broke, the requests that it was
// told to make but did not begin because the connection is to end
// (process_request_failure in its source); and those that it had ready when it
// read GOAWAY, and then did not send, as it must not: they are in its log with
// the time 0, at which they were sent.
func judgeH2load(out, log string) (sum, string) {
	requests, status := h2loadRequests.FindStringSubmatch(out), h2loadStatus.FindStringSubmatch(out)
	if requests == nil || status == nil {
		return sum{}, "no sums"
	}
	var n [7]int
	for i := range n[1:] {
		n[i+1], _ = strconv.Atoi(requests[i+1])
	}
	total, started, done, succeeded, failed, errored := n[1], n[2], n[3], n[4], n[5], n[6]
	result := sum{answered: strings.Count(log, "\t200\t")}
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "0\t-1\t") {
			result.unsent++
		}
	}
	switch {
	case started != done || succeeded+result.unsent != started || result.answered != succeeded || status[1] != requests[4]:
		return result, fmt.Sprintf("%d were begun, %d not sent, and %d succeeded", started, result.unsent, succeeded)
	case failed != errored || failed != total-succeeded:
		return result, "more failed than were not begun"
	}
	return result, ""
}

// curl runs curl again and again, each time for that many requests.
func curl(name, version, url string, requests int, args ...string) peer {
	return peer{name: name, want: min(requests, 10), run: func(l *load) string {
		runs, connections := 0, 0
		for ; l.running(); runs++ {
			cmd := l.site.command(l.done, "curl", append(args,
				"--cacert", l.site.cacert, "-sS", "--no-progress-meter", "--fail-with-body", "-o", "/dev/null", "-w",
				"%{http_version} %{num_connects}\n", url+"/?d=10ms&c="+name+"&n=[1-"+strconv.Itoa(requests)+"]")...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := output(cmd)
			if l.done.Err() != nil {
				break
			}
			if answers := strings.Count(string(out), version+" "); err != nil || answers != requests || stderr.Len() > 0 {
				l.breaks("%v, %d answers of HTTP/%s, want %d: %s; %s",
					err, answers, version, requests, firstLine(stderr.String()), odd(out, version))
			}
			connections += strings.Count(string(out), " 1\n")
		}
		return fmt.Sprintf("%d requests over %d connections in %d runs", runs*requests, connections, runs)
	}}
}

// odd returns the first of the lines that tell of no answer.
func odd(out []byte, version string) string {
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, version+" ") {
			return line
		}
	}
	return ""
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// goClient posts, several requests at a time over each of some transports. What
// was sent is not sent again: HTTP/1.1 bodies can be read once only, and with
// HTTP/2 it repeats no more than what GOAWAY has told it was not begun.
func goClient(name, url string, protocols *http.Protocols, transports, each int) peer {
	return peer{name: name, want: 10, run: func(l *load) string {
		var requests atomic.Int64
		var group sync.WaitGroup
		for range transports {
			transport := &http.Transport{DialContext: l.site.machine.Dial, TLSClientConfig: l.site.tls(), Protocols: protocols}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: patience.Of(30 * time.Second)}
			for range each {
				group.Go(func() {
					for l.running() {
						if err := post(client, url+"/?d=10ms&c="+name, protocols.HTTP1()); err != nil && l.done.Err() == nil {
							l.breaks("%v", err)
						}
						requests.Add(1)
					}
				})
			}
		}
		group.Wait()
		return fmt.Sprintf("%d requests", requests.Load())
	}}
}

func post(client *http.Client, url string, once bool) error {
	const said = "all that there is to say"
	var body io.Reader = strings.NewReader(said)
	if once {
		body = io.LimitReader(body, 1<<10)
	}
	response, err := client.Post(url, "text/plain", body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	right := fmt.Sprintf("read %d bytes\n", len(said))
	if err == nil && (response.StatusCode != http.StatusOK || !strings.HasSuffix(string(text), right)) {
		err = fmt.Errorf("%s: %q", response.Status, text)
	}
	return err
}
