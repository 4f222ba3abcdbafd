package lifecycle_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestUnfinishedHTTP2 is TestUnfinishedBodies for clients of HTTP/2 that do not
// read.
func TestUnfinishedHTTP2(t *testing.T) {
	t.Parallel()
	d := startHostile(t, "tcp", "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_DRAIN=1h", "HEIRLOOM_TEST_SILENCE=300ms")
	d.leaveHTTP2("GET /big")
	d.eventually("the request to arrive", func() bool { return d.status().Requests == 1 })
	d.signal(syscall.SIGTERM)
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
}

// TestHTTP2BothWays stops while a handler of HTTP/2 works on a request whose
// client waits for it with the end of the body, as in a call of gRPC both ways:
// it is answered, however silent the client. The HTTP/2 may be the program's own,
// of which nothing is known.
func TestHTTP2BothWays(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]string{"net/http's": "", "its own": "yes"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			silence := patience.Of(100 * time.Millisecond)
			d := startHostile(t, "tcp", "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_OWN_HTTP2="+own, "HEIRLOOM_TEST_DRAIN=1h", "HEIRLOOM_TEST_SILENCE="+silence.String())
			answered := d.bothWays("/slow?d=" + (10 * silence).String())
			d.eventually("the request to arrive", func() bool { return d.status().Requests == 1 })
			d.signal(syscall.SIGTERM)
			if err := <-answered; err != nil {
				t.Error(err)
			}
			if err := d.awaitExit(); err != nil {
				t.Error(err)
			}
		})
	}
}

// bothWays has a client of HTTP/2 post what does not end before the response
// does.
func (d *local) bothWays(path string) (answered <-chan error) {
	client := d.http2()
	client.Timeout = patience.Of(time.Minute)
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		response, err := client.Post("https://"+d.address+path, "text/plain", reader)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			err = errors.Join(err, response.Body.Close())
			if response.ProtoMajor != 2 {
				err = errors.Join(err, errors.New("it speaks "+response.Proto))
			}
		}
		done <- errors.Join(err, writer.Close())
	}()
	return done
}

// http2 is a client of HTTP/2 with a connection of its own.
func (d *local) http2() *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP2(true)
	d.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestHTTP2ClientsKeepStopWaiting is TestClientsKeepStopWaiting for HTTP/2, whose
// connection says nothing of whom a request waits for: the server has no credit
// to send, or the rest of a body has not come.
func TestHTTP2ClientsKeepStopWaiting(t *testing.T) {
	t.Parallel()
	d := startWaiting(t, "https")
	d.leaveHTTP2("POST /work", "GET /big")
	d.eventually("the requests to arrive", func() bool { return d.status().Requests == 2 })
	d.signal(syscall.SIGTERM)
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
	if said := "closing what waits for its client: requests=1 responses=1 idle=0"; !strings.Contains(d.logged(), said) {
		t.Errorf("the log has no %q:\n%s", said, d.logged())
	}
}

// leaveHTTP2 sends each request by net/http's client, over a connection of its
// own: a part of the body, if it has one, and does not read the response.
func (d *local) leaveHTTP2(requests ...string) {
	d.t.Helper()
	for _, request := range requests {
		method, path, _ := strings.Cut(request, " ")
		var body io.Reader
		if method == http.MethodPost {
			reader, writer := io.Pipe()
			d.t.Cleanup(func() { _ = writer.Close() })
			go func() { _, _ = io.WriteString(writer, "123") }()
			body = reader
		}
		r, err := http.NewRequestWithContext(d.t.Context(), method, "https://"+d.address+path, body)
		if err != nil {
			d.t.Fatal(err)
		}
		client := d.http2()
		go func() {
			if response, err := client.Do(r); err == nil {
				<-r.Context().Done()
				_ = response.Body.Close()
			}
		}()
	}
}

// TestHTTP2WorkFailsStop is TestWorkFailsStop for handlers of HTTP/2.
func TestHTTP2WorkFailsStop(t *testing.T) {
	t.Parallel()
	d := startWaiting(t, "https")
	d.leaveHTTP2("POST /work", "GET /work")
	d.eventually("the requests to arrive", func() bool { return d.status().Requests == 2 })
	d.signal(syscall.SIGTERM)
	checkDrainTimeout(t, d)
	for _, said := range []string{"cancelling what is left: left=\"1 request\"", "requests=1 responses=0 idle=0"} {
		if !strings.Contains(d.logged(), said) {
			t.Errorf("the log has no %q:\n%s", said, d.logged())
		}
	}
}

// TestHTTP2GivesUp stops when a client of HTTP/2 has given up a request whose
// response it does not read: no stream is open, and the server still writes.
func TestHTTP2GivesUp(t *testing.T) {
	t.Parallel()
	d := startHostile(t, "tcp", "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_DRAIN=1h", "HEIRLOOM_TEST_SILENCE=300ms")
	c := d.dialProtocol("h2")
	frame := func(kind, flags byte, stream byte, payload string) string {
		return string([]byte{0, 0, byte(len(payload)), kind, flags, 0, 0, 0, stream}) + payload
	}
	const settings, reset, window, headers = 4, 3, 8, 1
	const room = "\x7f\xff\xff\xff"
	c.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
		frame(settings, 0, 0, "\x00\x04"+room) + // SETTINGS_INITIAL_WINDOW_SIZE
		frame(window, 0, 0, "\x7f\x00\x00\x00") +
		frame(headers, 5, 1, "\x82\x87\x04\x04/big\x01\x01x")) // GET, https, :path, :authority
	d.eventually("the request to arrive", func() bool { return d.status().Requests == 1 })
	before, same := -1, 0
	d.eventually("the server to wait for room to write", func() bool {
		same++
		if now := unread(t, c); now != before {
			before, same = now, 0
		}
		return before > 0 && same >= 20
	})
	c.write(frame(reset, 0, 1, "\x00\x00\x00\x08")) // CANCEL
	d.eventually("the request to end", func() bool { return d.status().Requests == 0 })
	d.signal(syscall.SIGTERM)
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
}

// unread returns how many bytes the client's kernel has of what the server sent.
func unread(t *testing.T, c *client) (n int) {
	t.Helper()
	fdutil.Control(c.Conn.(*tls.Conn).NetConn(), func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.TIOCINQ) })
	return n
}
