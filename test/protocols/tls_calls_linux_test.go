package protocols_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// The programs of Python and Java that call.
//
//go:embed testdata/client.py
var pythonProgram string

//go:embed testdata/Client.java
var javaProgram []byte

// path is what a caller asks for. Answers come after a while, the longer the
// more callers there are. Of some callers they are longer than a record, and
// the requests of some are longer than the records that tlsmove keeps.
func (c *caller) path() string {
	size, padding := []int{0, 500, 40000}[len(c.name)%3], ""
	if size > 0 {
		padding = "&p=" + strings.Repeat("x", 600)
	}
	return fmt.Sprintf("/?c=%s&d=%dms&s=%d%s", c.name, 20**tlsClients, size, padding)
}

func (c *caller) url() string { return "https://" + c.way.address() + c.path() }

// warm is a path that a caller asks for on the connection before.
const warm = "/?c=warm"

// goCalls posts over connections of crypto/tls, by what net/http has for
// requests and responses. Its Transport would open a second connection when the
// machine is so busy that it has not noticed within 50 ms that a request was
// sent (maxWriteWaitBeforeConnReuse); TestUnderLoad has that one. The suite
// nobody chooses: tls.Config has no field for it.
func goCalls(l *load, s *tlsSite, callers []caller) string {
	return each(callers, func(c *caller) (requests int) {
		nc, err := s.dialTLS(l.done, c.way)
		if err != nil {
			l.breaks("%s: %v", c.name, err)
			return 0
		}
		defer nc.Close()
		for reader := bufio.NewReader(nc); l.running(); requests++ {
			_ = nc.SetDeadline(patience.Deadline(2 * time.Minute))
			if err := postOver(nc, reader, c.url()); err != nil && l.done.Err() == nil {
				l.breaks("%s after %d requests: %v", c.name, requests, err)
				break
			}
			time.Sleep(rand.N(20 * time.Millisecond))
		}
		return requests
	})
}

func (s *tlsSite) dialTLS(ctx context.Context, w way) (*tls.Conn, error) {
	config, err := s.goConfig(w)
	if err != nil {
		return nil, err
	}
	config.ServerName = "127.0.0.1"
	raw, err := s.machine.Dial(ctx, "tcp", w.address())
	if err != nil {
		return nil, err
	}
	nc := tls.Client(raw, config)
	if err := nc.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return nc, nil
}

func postOver(nc net.Conn, reader *bufio.Reader, url string) error {
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader("0123456789"))
	if err != nil {
		return err
	}
	if err := request.Write(nc); err != nil {
		return err
	}
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || response.Close || !strings.HasSuffix(string(body), " read 10 bytes\n")) {
		err = fmt.Errorf("%s, to close: %t, %d bytes", response.Status, response.Close, len(body))
	}
	return err
}

// goConfig is a client's configuration. For those who resume it has a ticket.
func (s *tlsSite) goConfig(w way) (*tls.Config, error) {
	config := s.tls()
	switch w {
	case mutual:
		pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
		config.Certificates = []tls.Certificate{pair}
		return config, err
	case resumed:
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		transport := &http.Transport{DialContext: s.machine.Dial, TLSClientConfig: config, DisableKeepAlives: true}
		response, err := (&http.Client{Transport: transport}).Get("https://" + w.address() + warm)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return config.Clone(), err
	default:
		return config, nil
	}
}

// each runs a function for each caller at the same time. Its thread is the
// goroutine's alone: see output.
func each(callers []caller, f func(c *caller) (requests int)) string {
	var requests atomic.Int64
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			requests.Add(int64(f(&callers[i])))
		})
	}
	group.Wait()
	clients := 0
	for _, c := range callers {
		clients += c.connections
	}
	return fmt.Sprintf("%d clients, %d requests", clients, requests.Load())
}

// curlCalls runs curl once for each caller, for more requests than it will come
// to: an answer of 410 ends it. It says of each request whether it connected.
func curlCalls(l *load, s *tlsSite, callers []caller) string {
	return each(callers, func(c *caller) int {
		args := []string{"-sS", "--http1.1", "--cacert", s.cacert, "--tls13-ciphers", c.suite, "--fail", "--fail-early",
			"-w", "%{http_code} %{num_connects}\n"}
		connects := 1
		switch c.way {
		case mutual:
			args = append(args, "--cert", s.cacert, "--key", s.key)
		case resumed:
			args = append(args, "-o", "/dev/null", "https://"+c.way.address()+warm+"&last")
			connects++
		}
		cmd := s.command(l.done, "curl", append(args, "-o", "/dev/null", c.url()+"&n=[1-1000000000]")...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		go func() {
			<-l.stopping.Done()
			if l.done.Err() != nil {
				return
			}
			if err := s.stop(c.name); err != nil {
				l.breaks("%v", err)
			}
		}()
		out, err := output(cmd)
		if l.done.Err() != nil {
			return 0
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if problem := judgeCurl(lines, connects); problem != "" || cmd.ProcessState.ExitCode() != 22 {
			l.breaks("%s: %v, %s: %s", c.name, err, problem, &stderr)
		}
		return len(lines)
	})
}

// judgeCurl says what is wrong with what curl says of its requests: it connects
// for the first, or the first two.
func judgeCurl(lines []string, connects int) string {
	for i, line := range lines {
		want := "200 0"
		switch {
		case i < connects:
			want = "200 1"
		case i == len(lines)-1:
			want = "410 0"
		}
		if line != want {
			return fmt.Sprintf("request %d is %q, want %q", i+1, line, want)
		}
	}
	return ""
}

var wrkRequests = regexp.MustCompile(`(?m)^ +(\d+) requests in `)

// wrkCalls runs wrk, until it is interrupted.
func wrkCalls(l *load, s *tlsSite, callers []caller) string {
	return each(callers, func(c *caller) int {
		cmd := s.command(l.done, "wrk", "-t1", "-c"+strconv.Itoa(c.connections), "-d100h", "--timeout", "60s", c.url())
		if err := l.chooseSuite(cmd, c.suite); err != nil {
			l.breaks("%v", err)
			return 0
		}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			l.breaks("%v", err)
			return 0
		}
		interrupt := context.AfterFunc(l.stopping, func() { _ = cmd.Process.Signal(syscall.SIGINT) })
		defer interrupt()
		err := cmd.Wait()
		if l.done.Err() != nil {
			return 0
		}
		requests, problem := judgeWrk(out.String())
		if err != nil || problem != "" {
			l.breaks("%s: %v, %s: %s", c.name, err, problem, &out)
		}
		return requests
	})
}

// judgeWrk says what is wrong with what wrk prints. Requests that last longer
// than its timeout it counts as socket errors too, and goes on to wait.
func judgeWrk(out string) (requests int, problem string) {
	sum := wrkRequests.FindStringSubmatch(out)
	if sum == nil {
		return 0, "no sum"
	}
	requests, _ = strconv.Atoi(sum[1])
	switch {
	case strings.Contains(out, "Non-2xx"):
		return requests, "answers that are errors"
	case strings.Contains(out, "Socket errors") && !strings.Contains(out, "connect 0, read 0, write 0,"):
		return requests, "broken connections"
	}
	return requests, ""
}

// chooseSuite has a program that uses OpenSSL offer one suite: by its
// configuration file, since the program has no option for it. Each program has
// its own, or one might read it while it is written for another.
func (l *load) chooseSuite(cmd *exec.Cmd, suite string) error {
	file, err := os.CreateTemp(l.dir, "*.cnf")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, `openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = default
[default]
Ciphersuites = %s
`, suite)
	cmd.Env = append(os.Environ(), "OPENSSL_CONF="+file.Name())
	return errors.Join(err, file.Close())
}

// pythonCalls runs a program of Python for each suite, with a thread for each
// caller.
func pythonCalls(l *load, s *tlsSite, callers []caller) string {
	var requests atomic.Int64
	var group sync.WaitGroup
	for _, suite := range suites {
		args := []string{"-c", pythonProgram, s.cacert, s.key, warm}
		for _, c := range callers {
			if c.suite == suite {
				args = append(args, string(c.way), c.way.address(), c.path())
			}
		}
		cmd := s.command(l.done, "/usr/bin/python3", args...)
		if err := l.chooseSuite(cmd, suite); err != nil {
			l.breaks("%v", err)
			continue
		}
		group.Go(func() { requests.Add(l.runProgram(cmd)) })
	}
	group.Wait()
	return fmt.Sprintf("%d clients, %d requests", len(callers), requests.Load())
}

// javaCalls runs a program of Java with a thread for each caller.
func javaCalls(l *load, s *tlsSite, callers []caller) string {
	program := filepath.Join(l.dir, "Client.java")
	if err := os.WriteFile(program, javaProgram, 0o600); err != nil {
		l.breaks("%v", err)
		return ""
	}
	args := []string{"-Xmx512m", program, s.cacert, s.key, "https://" + resumed.address() + warm + "&last"}
	for _, c := range callers {
		args = append(args, string(c.way), c.suite, c.url())
	}
	requests := l.runProgram(s.command(l.done, "java", args...))
	return fmt.Sprintf("%d clients, %d requests", len(callers), requests)
}

// runProgram runs a program that calls until its standard input ends, and then
// says how often it did.
func (l *load) runProgram(cmd *exec.Cmd) (requests int64) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		l.breaks("%v", err)
		return 0
	}
	over := context.AfterFunc(l.stopping, func() { _ = stdin.Close() })
	defer over()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := output(cmd)
	if l.done.Err() != nil {
		return 0
	}
	_, scanErr := fmt.Sscanf(string(out), "%d requests\n", &requests)
	if err != nil || scanErr != nil || stderr.Len() > 0 {
		l.breaks("%v, %v: %s%s", err, scanErr, &stderr, out)
	}
	return requests
}
