//lint:file-ignore SA1019 what is deprecated is what daemons have

//nolint:staticcheck // the same
package protocols_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/net/http2"
	netH2C "golang.org/x/net/http2/h2c"

	"github.com/heirloom-go/heirloom/internal/goaway"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// A lockedBuffer may be read while it is written to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestH2C stops a service whose handler is one of h2c.NewHandler, and has an
// idle connection of HTTP/2: that must not last to the deadline of the drain.
// Where it is hidden, or cannot be left out, there is a warning.
func TestH2C(t *testing.T) {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) })
	for name, test := range map[string]struct {
		handler http.Handler
		drain   time.Duration
		warning string
		cut     bool // the connection lasts to the deadline
	}{
		"its own": {netH2C.NewHandler(hello, &http2.Server{MaxConcurrentStreams: 7, ReadIdleTimeout: time.Minute}), time.Hour, "was left out", false},
		"hidden": {http.HandlerFunc(netH2C.NewHandler(hello, &http2.Server{}).ServeHTTP), 2 * time.Second,
			"takes connections away", true},
		"with a setting": {netH2C.NewHandler(hello, &http2.Server{IdleTimeout: time.Hour}), 2 * time.Second,
			"its http2.Server has a IdleTimeout", true},
		"none": {hello, time.Hour, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log lockedBuffer
			service, err := lifecycle.New(lifecycle.Options{
				ControlSocket: t.TempDir() + "/control", DrainTimeout: test.drain, Logger: hclog.New(&hclog.LoggerOptions{Output: &log}),
			})
			if err != nil {
				t.Fatal(err)
			}
			listener, err := service.Listen("http", "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if err := service.HTTP(listener, &http.Server{Handler: test.handler}); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan error, 1)
			go func() { ended <- service.Run(ctx) }()

			protocols := new(http.Protocols)
			protocols.SetUnencryptedHTTP2(test.warning != "")
			protocols.SetHTTP1(test.warning == "")
			transport := &http.Transport{Protocols: protocols}
			defer transport.CloseIdleConnections()
			response, err := (&http.Client{Transport: transport}).Get("http://" + listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if want := map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"}[test.warning != ""]; err != nil || string(body) != want {
				t.Errorf("%q, %v, want %s", body, err, want)
			}
			stop()
			if err := <-ended; errors.Is(err, lifecycle.ErrDrainTimeout) != test.cut || !test.cut && err != nil {
				t.Error(err)
			}
			text := log.String()
			if strings.Count(text, "[WARN]  the handler of h2c")+strings.Count(text, "[WARN]  h2c") != min(1, len(test.warning)) && name != "with a setting" ||
				!strings.Contains(text, test.warning) {
				t.Errorf("want a warning %q:\n%s", test.warning, text)
			}
			if cut := strings.Contains(text, "the time is over"); cut != test.cut {
				t.Errorf("the connection lasts to the deadline: %t, want %t:\n%s", cut, test.cut, text)
			}
		})
	}
}

// TestTakeH2C keeps the settings of the http2.Server, and those of the server's
// own that it does not have.
func TestTakeH2C(t *testing.T) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler: netH2C.NewHandler(http.NotFoundHandler(), &http2.Server{
			MaxConcurrentStreams: 1, MaxDecoderHeaderTableSize: 2, MaxEncoderHeaderTableSize: 3, MaxReadFrameSize: 4,
			MaxUploadBufferPerConnection: 5, MaxUploadBufferPerStream: 6, ReadIdleTimeout: 7, PingTimeout: 8,
			IdleTimeout: time.Minute, PermitProhibitedCipherSuites: true,
		}),
		IdleTimeout: time.Minute,
		Protocols:   protocols,
		HTTP2:       &http.HTTP2Config{WriteByteTimeout: 9, PingTimeout: 10},
	}
	if taken, err := goaway.TakeH2C(server); !taken || err != nil {
		t.Fatal(taken, err)
	}
	want := http.HTTP2Config{
		MaxConcurrentStreams: 1, MaxDecoderHeaderTableSize: 2, MaxEncoderHeaderTableSize: 3, MaxReadFrameSize: 4,
		MaxReceiveBufferPerConnection: 5, MaxReceiveBufferPerStream: 6, SendPingTimeout: 7, PingTimeout: 8, WriteByteTimeout: 9,
	}
	if got := *server.HTTP2; !reflect.DeepEqual(got, want) {
		t.Errorf("the settings are %+v, want %+v", got, want)
	}
	if p := server.Protocols; !p.HTTP1() || p.HTTP2() || !p.UnencryptedHTTP2() {
		t.Errorf("the protocols are %v", p)
	}
	if taken, err := goaway.TakeH2C(server); taken || err != nil {
		t.Error("it was taken twice:", err)
	}
}
