package framework_test

import (
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/framework"
)

// TestFramework has a function set up its server and serve, until it is closed.
func TestFramework(t *testing.T) {
	server := new(http.Server)
	f := framework.New(listen(t), server, func(l net.Listener) error {
		server.ErrorLog = hclog.NewNullLogger().StandardLogger(nil)
		return server.Serve(l)
	})
	if err := <-f.Start(hclog.NewNullLogger()); err != nil {
		t.Fatal(err)
	}
	if s := f.Server(); s == server || s.ErrorLog != server.ErrorLog {
		t.Errorf("it is to be served as %+v", s)
	}
	f.Close()
	f.Close()
	if err := f.Wait(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the function returned %v", err)
	}
}

// TestFrameworkFails has a function return, panic, or serve otherwise, before
// its server is set up.
func TestFrameworkFails(t *testing.T) {
	errBad := errors.New("a bad day")
	for name, test := range map[string]struct {
		serve func(net.Listener) error
		want  error // nil for any
	}{
		"an error": {func(net.Listener) error { return errBad }, errBad},
		"no error": {func(net.Listener) error { return nil }, callback.ErrEnded},
		"a panic":  {func(net.Listener) error { panic("a bad day") }, nil},
		"another server": {func(l net.Listener) error {
			return http.Serve(l, nil)
		}, framework.ErrOther},
	} {
		f := framework.New(listen(t), new(http.Server), test.serve)
		err := <-f.Start(hclog.NewNullLogger())
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
		f.Close()
	}
}
