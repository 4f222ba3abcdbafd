package lifecycle_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// A patient is a service in this process, with its health in the hands of the
// test.
type patient struct {
	t       *testing.T
	service *lifecycle.Service
	log     *safeBuffer
	asked   chan context.Context // each check sends its own, and then waits to be told
	verdict chan error
	stop    context.CancelFunc
	ended   chan error
}

// newPatient makes a service that does not run yet.
func newPatient(t *testing.T, options lifecycle.Options) *patient {
	t.Helper()
	p := &patient{
		t:       t,
		log:     new(safeBuffer),
		asked:   make(chan context.Context),
		verdict: make(chan error),
		ended:   make(chan error, 1),
	}
	options.Name = "patient"
	options.ControlSocket = filepath.Join(t.TempDir(), "control")
	options.Logger = hclog.New(&hclog.LoggerOptions{Output: p.log, Level: hclog.Debug})
	service, err := lifecycle.New(options)
	if err != nil {
		t.Fatal(err)
	}
	p.service = service
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", p.log)
		}
	})
	return p
}

func (p *patient) run() {
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	go func() { p.ended <- p.service.Run(ctx) }()
	p.t.Cleanup(stop)
}

func (p *patient) check(ctx context.Context) error {
	p.asked <- ctx
	err := <-p.verdict
	if err != nil && err.Error() == "panic" {
		panic("at the doctor's")
	}
	return err
}

// beAsked waits for the next check.
func (p *patient) beAsked() context.Context {
	p.t.Helper()
	select {
	case ctx := <-p.asked:
		return ctx
	case <-time.After(patience.Of(30 * time.Second)):
		p.t.Fatal("the health is not checked")
		return nil
	}
}

func (p *patient) say(errs ...error) {
	p.t.Helper()
	for _, err := range errs {
		p.beAsked()
		p.verdict <- err
	}
}

// pass has checks pass until the manager has a sign of life. One that is told
// too late does not count, so several may be asked.
func (p *patient) pass(manager *listening) {
	p.t.Helper()
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-p.asked:
				p.verdict <- nil
			case <-over:
				return
			}
		}
	}()
	defer func() {
		close(over)
		<-ended
	}()
	manager.await(sign)
}

func (p *patient) awaitLog(text string) {
	p.t.Helper()
	if err := eventually(func() bool { return strings.Contains(p.log.String(), text) }); err != nil {
		p.t.Fatalf("the log has no %q: %v", text, err)
	}
}

func (p *patient) awaitState(want lifecycle.State) {
	p.t.Helper()
	var got lifecycle.Status
	err := eventually(func() (is bool) {
		got, _ = p.service.Status(p.t.Context())
		return got.State == want
	})
	if err != nil {
		p.t.Fatalf("the state is %s, want %s", got.State, want)
	}
}

func (p *patient) awaitEnd() {
	p.t.Helper()
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Error(err)
		}
	case <-time.After(patience.Of(30 * time.Second)):
		p.t.Fatal("the service does not end")
	}
}

// probe asks one of the handlers of the service.
func probe(h http.Handler) (status int, text string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
