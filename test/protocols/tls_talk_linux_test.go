package protocols_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A talk is a program that sends what is typed, and prints what comes.
type talk struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startTalk starts a program. The goroutine has its thread for itself until the
// program ends: see output.
func startTalk(cmd *exec.Cmd) (*talk, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	return &talk{cmd, in, bufio.NewReader(out)}, cmd.Start()
}

// end ends the program's input, unless a command has ended the program, and
// returns what it prints from then on.
func (t *talk) end() (string, error) {
	_ = t.in.Close()
	rest, err := io.ReadAll(t.out)
	return string(rest), errors.Join(err, t.cmd.Wait())
}

// until reads up to a line with text in it.
func (t *talk) until(text string) (string, error) {
	all := ""
	for {
		line, err := t.out.ReadString('\n')
		all += line
		if strings.Contains(line, text) {
			return all, nil
		}
		if err != nil {
			return all, fmt.Errorf("%w instead of %q, after %q", err, text, all[max(0, len(all)-400):])
		}
	}
}

// say types a line and waits until the program prints something.
func (t *talk) say(line, until string) error {
	if _, err := io.WriteString(t.in, line); err != nil {
		return err
	}
	_, err := t.until(until)
	return err
}

// ask makes a request, a line at a time if so: such a program sends each in a
// record.
func (t *talk) ask(path string, lines bool) error {
	headers := []string{"GET " + path + " HTTP/1.1\r\n", "Host: 127.0.0.1\r\n", "\r\n"}
	if !lines {
		headers = []string{strings.Join(headers, "")}
	}
	for _, h := range headers {
		if _, err := io.WriteString(t.in, h); err != nil {
			return err
		}
	}
	answer, err := t.until("read 0 bytes")
	if err == nil && (!strings.Contains(answer, "HTTP/1.1 200 OK") || strings.Contains(answer, "Connection: close")) {
		err = fmt.Errorf("answered %q", answer)
	}
	return err
}

// keepAsking asks until it is over, and after some requests does something
// else.
func (t *talk) keepAsking(l *load, c *caller, lines bool, between func(n int) error) (requests int) {
	for ; l.running(); requests++ {
		err := t.ask(c.path(), lines)
		if err == nil {
			err = between(requests)
		}
		if l.done.Err() != nil {
			break
		}
		if err != nil {
			l.breaks("%s after %d requests: %v", c.name, requests, err)
			break
		}
	}
	return requests
}

// opensslCalls types into s_client, whose commands are lines of a letter: K
// sends a KeyUpdate and asks for one, k just sends it, Q ends. Each comes at a
// moment when the connection may be moved.
func opensslCalls(l *load, s *tlsSite, callers []caller) string {
	return each(callers, func(c *caller) int {
		args := []string{"s_client", "-connect", c.way.address(), "-tls1_3", "-ciphersuites", c.suite,
			"-CAfile", s.cacert, "-verify_return_error", "-verify_ip", "127.0.0.1"}
		switch c.way {
		case mutual:
			args = append(args, "-cert", s.cacert, "-key", s.key)
		case resumed:
			ticket := filepath.Join(l.dir, c.name)
			t, err := startTalk(s.command(l.done, "openssl", append(args, "-sess_out", ticket)...))
			if err == nil {
				err = errors.Join(t.ask(warm, false), t.quit())
			}
			if err != nil {
				l.breaks("%s: %v", c.name, err)
				return 0
			}
			args = append(args, "-sess_in", ticket)
		}
		t, err := startTalk(s.command(l.done, "openssl", args...))
		if err != nil {
			l.breaks("%v", err)
			return 0
		}
		requests := t.keepAsking(l, c, false, func(n int) error {
			switch n % 4 {
			case 1:
				return t.say("K\n", "KEYUPDATE")
			case 3:
				return t.say("k\n", "KEYUPDATE")
			}
			return nil
		})
		if err := t.quit(); err != nil && l.done.Err() == nil {
			l.breaks("%s: %v", c.name, err)
		}
		return requests
	})
}

// quit ends s_client by its command.
func (t *talk) quit() error {
	_, err := io.WriteString(t.in, "Q\n")
	_, ended := t.end()
	return errors.Join(err, ended)
}

// gnutlsCalls types into gnutls-cli, which sends each line in a record of its
// own, and a KeyUpdate at a command.
func gnutlsCalls(l *load, s *tlsSite, callers []caller) string {
	ciphers := map[string]string{suites[0]: "AES-128-GCM", suites[1]: "AES-256-GCM", suites[2]: "CHACHA20-POLY1305"}
	return each(callers, func(c *caller) int {
		host, port, _ := net.SplitHostPort(c.way.address())
		args := []string{"--x509cafile", s.cacert, "--inline-commands", "--port", port,
			"--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+" + ciphers[c.suite]}
		switch c.way {
		case mutual:
			args = append(args, "--x509certfile", s.cacert, "--x509keyfile", s.key)
		case resumed:
			args = append(args, "--resume", "--waitresumption")
		}
		t, err := startTalk(s.command(l.done, "gnutls-cli", append(args, host)...))
		if err != nil {
			l.breaks("%v", err)
			return 0
		}
		requests := t.keepAsking(l, c, true, func(n int) error {
			switch n % 4 {
			case 1:
				return t.say("^rekey1^\n", "Rekey was completed")
			case 3:
				return t.say("^rekey^\n", "Rekey was completed")
			}
			return nil
		})
		if rest, err := t.end(); err != nil && l.done.Err() == nil {
			l.breaks("%s: %v: %s", c.name, err, rest)
		}
		return requests
	})
}

// browserProgram has a page post, as several clients of one connection each.
const browserProgram = `
window.record = {requests: 0, failed: [], ended: 0};
window.over = false;
for (const [name, url] of CALLERS) (async () => {
	try {
		while (!over) {
			const response = await fetch(url, {method: "POST", body: "0123456789", cache: "no-store"});
			const text = await response.text();
			if (!response.ok || !text.endsWith("read 10 bytes\n")) throw new Error(response.status + " " + text);
			record.requests++;
		}
	} catch (e) { record.failed.push(name + " after " + record.requests + " requests: " + e); }
	record.ended++;
})();`

// chromiumCalls has a page of the browser post to a host name for each caller:
// for each there are connections of their own.
func chromiumCalls(l *load, s *tlsSite, callers []caller) string {
	ctx := s.browser
	var list [][2]string
	for i, c := range callers {
		_, port, _ := net.SplitHostPort(c.way.address())
		list = append(list, [2]string{c.name, fmt.Sprintf("https://c%d.test:%s%s", i, port, c.path())})
	}
	text, err := json.Marshal(list)
	if err == nil {
		err = chromedp.Do(ctx, chromedp.Navigate("http://127.0.0.1:8080/"))
	}
	if err == nil {
		_, err = chromedp.Run(ctx, chromedp.Evaluate[any](strings.Replace(browserProgram, "CALLERS", string(text), 1)+"0"))
	}
	if err != nil {
		l.breaks("%v", err)
		return ""
	}
	<-l.stopping.Done()
	if l.done.Err() != nil {
		return ""
	}
	return l.judgeBrowser(ctx, len(callers))
}

// judgeBrowser has the page end, and reads what it noted.
func (l *load) judgeBrowser(ctx context.Context, callers int) string {
	_, err := chromedp.Run(ctx, chromedp.Evaluate[any]("over = true"))
	if err == nil {
		_, err = chromedp.Run(ctx, chromedp.Poll[bool](fmt.Sprintf("record.ended == %d", callers),
			chromedp.WithPollingTimeout(patience.Of(time.Minute))))
	}
	if err != nil {
		l.breaks("%v", err)
		return ""
	}
	r, err := chromedp.Run(ctx, chromedp.Evaluate[struct {
		Requests int      `json:"requests"`
		Failed   []string `json:"failed"`
	}]("record"))
	if err != nil {
		l.breaks("%v", err)
	}
	for _, failed := range r.Failed {
		l.breaks("%s", failed)
	}
	return fmt.Sprintf("%d clients, %d requests", callers, r.Requests)
}
