package lifecycle_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestService goes through the life of a Service in one process.
func TestService(t *testing.T) {
	service, err := lifecycle.New(lifecycle.Options{Name: "test", Version: "v1", ControlSocket: filepath.Join(t.TempDir(), "control")})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{activation.HandoverName, "heirloom-control", "heirloom-7"} {
		if _, err := service.Listen(name, "tcp", "127.0.0.1:0"); !errors.Is(err, lifecycle.ErrReserved) {
			t.Errorf("Listen(%q): %v, want ErrReserved", name, err)
		}
	}
	listener, err := service.Listen("http", "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello\n")
	})}
	if err := service.HTTP(listener, server); err != nil {
		t.Fatal(err)
	}
	if err := service.HTTP(listener, server); !errors.Is(err, lifecycle.ErrServerInUse) {
		t.Errorf("HTTP with the same server: %v, want ErrServerInUse", err)
	}
	checkValueListener(t, service)
	checkState(t, service, lifecycle.Starting)

	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- service.Run(ctx) }()
	if err := eventually(func() bool {
		s, err := service.Status(t.Context())
		return err == nil && s.State == lifecycle.Ready
	}); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if _, err := service.Listen("late", "tcp", "127.0.0.1:0"); !errors.Is(err, lifecycle.ErrRunning) {
		t.Errorf("Listen: %v, want ErrRunning", err)
	}
	if err := service.HTTP(listener, server); !errors.Is(err, lifecycle.ErrRunning) {
		t.Errorf("HTTP: %v, want ErrRunning", err)
	}
	if err := service.AnswerLostRequests(); !errors.Is(err, lifecycle.ErrRunning) {
		t.Errorf("AnswerLostRequests: %v, want ErrRunning", err)
	}
	if err := service.Run(ctx); !errors.Is(err, lifecycle.ErrRunning) {
		t.Errorf("Run: %v, want ErrRunning", err)
	}

	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	checkState(t, service, lifecycle.Gone)
	if err := service.Reload(t.Context()); !errors.Is(err, lifecycle.ErrStopping) {
		t.Errorf("Reload: %v, want ErrStopping", err)
	}
}

func checkState(t *testing.T, service *lifecycle.Service, want lifecycle.State) {
	t.Helper()
	s, err := service.Status(t.Context())
	if err != nil || s.State != want || s.Generation != 1 || s.Version != "v1" {
		t.Errorf("status %+v, %v, want %s", s, err, want)
	}
}

// A valueListener cannot be compared.
type valueListener struct {
	net.Listener
	names []string
}

// checkValueListener has the service compare a listener that cannot be
// compared.
func checkValueListener(t *testing.T, service *lifecycle.Service) {
	t.Helper()
	listener, err := service.Listen("value", "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	value := valueListener{listener, []string{"value"}}
	if err := service.HTTP(value, new(http.Server)); err != nil {
		t.Error(err)
	}
	if err := service.ServeHijacked(value, func(*lifecycle.Stream) {}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("ServeHijacked: %v, want ErrUnsupported", err)
	}
}
