package lifecycle_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// serveUpgrades has an echoServer serve the connections that ask for it.
func serveUpgrades(service *lifecycle.Service, listener net.Listener, config *tls.Config) error {
	echo := &echoServer{service.Generation()}
	upgrade := func(w http.ResponseWriter, r *http.Request) {
		c, err := hijack(service, w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotImplemented)
			return
		}
		defer c.Close()
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		if r.URL.Path == "/unread" { // hands over what it has not read
			<-c.Draining()
			err := c.HandOver(nil)
			if err == nil {
				return
			}
			fmt.Fprintln(c, handOverError(err))
		}
		echo.serve(c)
	}
	err := service.HTTP(listener, &http.Server{Handler: http.HandlerFunc(upgrade), TLSConfig: config})
	if err != nil {
		return err
	}
	return service.ServeHijacked(listener, echo.serve)
}

// hijack does it as a library would, if the path says so.
func hijack(service *lifecycle.Service, w http.ResponseWriter, r *http.Request) (*lifecycle.Stream, error) {
	if r.URL.Path != "/library" {
		return service.Hijack(w, r)
	}
	nc, buffered, err := http.NewResponseController(service.HijackWriter(w, r)).Hijack()
	if err != nil {
		return nil, err
	}
	if n := buffered.Reader.Buffered(); n > 0 {
		return nil, fmt.Errorf("%d bytes are buffered, and gorilla/websocket would refuse them", n)
	}
	return nc.(*lifecycle.Stream), nil
}

// upgrade asks for the echoServer, and sends more at once.
func (d *local) upgrade(path, more string) *client {
	d.t.Helper()
	c := d.dial()
	c.say("GET " + path + " HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n" + more)
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		d.t.Fatalf("%v, %v", response, err)
	}
	return c
}

func startUpgrades(t *testing.T, network string, env ...string) *local {
	d := startEcho(t, network, env...)
	d.write("mode", "upgrade")
	d.reload() // the first generation serves bare streams
	d.awaitAlone()
	return d
}

// TestHijacked hands upgraded connections over three times.
func TestHijacked(t *testing.T) {
	replacements(t, func(t *testing.T, network, replace string) {
		d := startUpgrades(t, network, replace)
		first, half, unread := d.upgrade("/library", "along with the request\n"), d.upgrade("/", "ha"), d.upgrade("/unread", "unread\n")
		first.expect("2 along with the request")
		for generation := 3; generation <= 5; generation++ {
			d.reload()
			switch {
			case generation > 3:
			case network == "tls": // what was decrypted goes along
				unread.expect("3 unread")
			default:
				unread.expect("unread")
				unread.expect("2 unread")
			}
			d.awaitAlone()
			first.say("hello\n")
			first.expect(fmt.Sprintf("%d hello", generation))
			half.say("l")
		}
		half.say("f\n")
		half.expect("5 halllf")
		unread.say("hello\n")
		unread.expect("5 hello")
		if n := d.status().Connections.Streams; n != 3 {
			t.Errorf("%d streams, want 3", n)
		}
		d.signal(syscall.SIGTERM)
		first.expect(`5 no successor, with ""`)
		first.closed()
		if err := d.awaitExit(); err != nil && replace == "HEIRLOOM_TEST_REPLACE=in-place" {
			t.Error(err)
		}
	})
}

// TestHijackForeign asks for what is not the Service's to give.
func TestHijackForeign(t *testing.T) {
	service, err := lifecycle.New(lifecycle.Options{StopSignals: []os.Signal{}, ReloadSignals: []os.Signal{}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := service.Hijack(w, r)
		fmt.Fprint(w, errors.Is(err, errors.ErrUnsupported))
	}))
	defer server.Close()
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var text strings.Builder
	if err := response.Write(&text); err != nil || !strings.HasSuffix(text.String(), "true") {
		t.Errorf("%v: %s", err, text.String())
	}
	if err := service.ServeHijacked(server.Listener, func(*lifecycle.Stream) {}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("ServeHijacked of a listener that nobody serves: %v", err)
	}
}
