package streams

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestKeyUpdate has openssl send KeyUpdates, with and without asking for one, of
// which a part has come when the drain begins, in a new session and in one that
// has moved.
func TestKeyUpdate(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl here")
	}
	for _, suite := range []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"} {
		for _, cut := range []int{3, 7} {
			t.Run(fmt.Sprintf("%s-%d", suite, cut), func(t *testing.T) {
				w := newWorld(t, "tcp", selfSigned())
				valves := make(chan *valve, 1)
				c := startOpenSSL(t, openssl, proxy(t, w.listener.Addr().String(), valves), suite)
				c.say("hello\n")
				c.await("1 hello")
				v := <-valves
				waitsForPart = v.release
				defer func() { waitsForPart = func() {} }()
				for number := 2; number <= 4; number++ {
					for _, update := range []string{"K\n", "k\n"} { // the first of which asks
						v.holdAfter(cut)
						c.say(update)
						c.await("KEYUPDATE")
						w.now.await("the part", func() bool {
							v.mu.Lock()
							defer v.mu.Unlock()
							return len(v.held) > 0
						})
						w.now.awaitTaken(v)
						if update == "K\n" {
							v.release()
							c.say("after\n")
							c.await(fmt.Sprintf("%d after", w.now.number))
						}
					}
					if err := w.replace().handedOver(); err != nil {
						t.Fatal(err)
					}
					c.say("hello\n")
					c.await(fmt.Sprintf("%d hello", number))
				}
			})
		}
	}
}

// proxy forwards a connection, and what the client sends through a valve.
func proxy(t *testing.T, to string, valves chan<- *valve) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	go func() {
		defer close(done)
		near, err := l.Accept()
		if err != nil {
			return
		}
		defer near.Close()
		far, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer far.Close()
		v := &valve{Conn: far}
		valves <- v
		back := make(chan struct{})
		go func() {
			defer close(back)
			_, _ = io.Copy(near, far)
			_ = near.Close()
		}()
		_, _ = io.Copy(struct{ io.Writer }{v}, near)
		_ = far.Close()
		<-back
	}()
	return l.Addr().String()
}

// An opensslClient is s_client, for which K and k are commands, at the beginning
// of what it reads.
type opensslClient struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
}

func startOpenSSL(t *testing.T, program, address, suite string) *opensslClient {
	t.Helper()
	cmd := exec.Command(program, "s_client", "-connect", address, "-tls1_3", "-ciphersuites", suite)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := time.AfterFunc(patience.Of(2*limit), func() { _ = cmd.Process.Kill() })
	reader := bufio.NewReader(out)
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, reader)
		_ = cmd.Wait()
		over.Stop()
	})
	return &opensslClient{t, in, reader}
}

func (c *opensslClient) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, text); err != nil {
		c.t.Fatal(err)
	}
}

// await reads up to a line with text in it.
func (c *opensslClient) await(text string) {
	c.t.Helper()
	all := ""
	for {
		line, err := c.out.ReadString('\n')
		all += line
		if err != nil {
			c.t.Fatalf("openssl never says %q: %v\n%s", text, err, all)
		}
		if strings.Contains(line, text) {
			return
		}
	}
}
