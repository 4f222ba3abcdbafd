package main

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// dig asks the server in the machine.
func dig(t *testing.T, m *sdtest.Machine, args ...string) string {
	t.Helper()
	out, err := exampletest.Command(t, m, "dig", append([]string{"+norec", "+tries=1", "+time=" + seconds(10*time.Second)}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("dig %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// seconds is a limit in time for this machine, as programs are told it.
func seconds(d time.Duration) string { return fmt.Sprint(int(patience.Of(d).Seconds())) }

// A perf is a dnsperf at work.
type perf struct {
	t         *testing.T
	cmd       *exec.Cmd
	questions io.WriteCloser
	all       bytes.Buffer // its output, when it has ended

	mu       sync.Mutex
	answered chan struct{} // closed when a line said that queries were answered, and then made anew
	ended    chan struct{}
}

// questions are all answered with NOERROR. Most are long, so that few of them
// wait in the pipe to dnsperf when that is closed.
var questions = "www.example.org AAAA\nftp.example.org A\nexample.org SOA\nlong.example.org TXT\n" +
	strings.Repeat(strings.Repeat(strings.Repeat("a", 60)+".", 3)+"pages.example.org A\n", 16)

// ask starts dnsperf, which asks until it is judged.
func ask(t *testing.T, m *sdtest.Machine, args ...string) *perf {
	t.Helper()
	p := &perf{t: t, answered: make(chan struct{}), ended: make(chan struct{})}
	p.cmd = exampletest.Command(t, m, "dnsperf", append([]string{"-s", "127.0.0.1", "-e", "-Q", "4000", "-S", "0.02", "-t", seconds(10 * time.Second)}, args...)...)
	p.cmd.Stdout = p
	p.cmd.Stderr = p
	var err error
	if p.questions, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for err := error(nil); err == nil; { // until it is closed
			_, err = io.WriteString(p.questions, questions)
		}
	}()
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // its output tells
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	return p
}

// progress is what dnsperf says of the last fiftieth of a second if anything
// was answered in it.
var progress = regexp.MustCompile(`(?m)^[0-9.]+: [0-9.]*[1-9]`)

// Write takes dnsperf's output in.
func (p *perf) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if progress.Match(text) {
		close(p.answered)
		p.answered = make(chan struct{})
	}
	return p.all.Write(text)
}

// mustAdvance waits until more queries were answered.
func (p *perf) mustAdvance() {
	p.t.Helper()
	for range 2 { // the first may have been answered before
		p.mu.Lock()
		answered := p.answered
		p.mu.Unlock()
		select {
		case <-answered:
		case <-p.ended:
			p.t.Fatalf("dnsperf has ended:\n%s", &p.all)
		case <-time.After(patience.Of(30 * time.Second)):
			p.t.Fatal("no query is answered")
		}
	}
}

var (
	sums = regexp.MustCompile(`Queries sent: +(\d+)\s+Queries completed: +(\d+) \(100.00%\)\s+Queries lost: +0 \(0.00%\)\s+` +
		`Response codes: +NOERROR (\d+) \(100.00%\)`)
	reconnections = regexp.MustCompile(`Reconnections: +0\n`)
)

// judge has both end when all that they have asked was answered, or was not for
// 10 seconds or more, and fails the test if one query was lost or one
// connection.
func judge(udp, tcp *perf) {
	udp.t.Helper()
	for _, p := range []*perf{udp, tcp} {
		p.mustAdvance()
	}
	for _, p := range []*perf{udp, tcp} {
		if err := p.questions.Close(); err != nil {
			p.t.Error(err)
		}
	}
	for _, p := range []*perf{udp, tcp} {
		<-p.ended
		out := p.all.String()
		parts := sums.FindStringSubmatch(out)
		if parts == nil || parts[1] != parts[2] || parts[1] != parts[3] || p == tcp && !reconnections.MatchString(out) {
			p.t.Errorf("queries or connections were lost:\n%s", out)
			continue
		}
		p.t.Logf("%s: %s queries", strings.Join(p.cmd.Args[3:], " "), parts[1])
	}
}
