package systemd_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/systemd"
)

// beNoService makes sure that no name of a unit is found.
func beNoService(t *testing.T) {
	t.Helper()
	runtimeDir(t)
	t.Setenv("INVOCATION_ID", "")
	if unit := systemd.OwnUnit(); unit != "" {
		t.Skipf("the test is part of %s of the user", unit)
	}
}

// TestSilentManager has nobody answer at any of the sockets.
func TestSilentManager(t *testing.T) {
	leakcheck.Check(t)
	beNoService(t)
	for _, name := range []string{varlinkSocket, "systemd/private", "bus"} {
		listen(t, name)
	}
	t.Setenv("INVOCATION_ID", "1")
	began := time.Now()
	timeout, err := systemd.StopTimeout(t.Context())
	took := time.Since(began)
	if timeout != (systemd.Timeout{}) || !errors.Is(err, systemd.ErrUnanswered) || !slices.Contains(matches(err), "deadline") {
		t.Errorf("told %+v, error %v, want ErrUnanswered and context.DeadlineExceeded", timeout, err)
	}
	for _, says := range []string{"io.systemd.Manager", "systemd/private", "bus", "tells the name", "$" + systemd.StopTimeoutVariable} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want one that says %q", err, says)
		}
	}
	if took > systemd.Patience+patience.Of(30*time.Second) {
		t.Errorf("it took %v", took)
	}
	if took < systemd.Patience {
		t.Errorf("it took %v, so not every one was waited for", took)
	}
}

func TestVariable(t *testing.T) {
	leakcheck.Check(t)
	beNoService(t)
	tests := []struct {
		value string
		want  systemd.Timeout
		err   string
	}{
		{value: "1min 30s", want: systemd.Timeout{Duration: 90 * time.Second}},
		{value: "infinity", want: systemd.Timeout{Infinite: true}},
		{value: "0", want: systemd.Timeout{Infinite: true}},
		{value: "soon", err: `$HEIRLOOM_STOP_TIMEOUT: "soon"`},
		{value: "", err: "$HEIRLOOM_STOP_TIMEOUT is not set"}, // as with all variables
	}
	for _, invocation := range []string{"", "1"} {
		t.Setenv("INVOCATION_ID", invocation)
		t.Setenv("NOTIFY_SOCKET", "")
		sentinel := map[string]error{"": systemd.ErrNoUnit, "1": systemd.ErrUnanswered}[invocation]
		for _, test := range tests {
			t.Setenv(systemd.StopTimeoutVariable, test.value)
			got, err := systemd.StopTimeout(t.Context())
			if test.err != "" {
				if !errors.Is(err, sentinel) || !strings.Contains(err.Error(), test.err) {
					t.Errorf("%q: told %+v, error %v, want %v that says %s", test.value, got, err, sentinel, test.err)
				}
				continue
			}
			test.want.Source, test.want.Detail = systemd.Environment, systemd.StopTimeoutVariable
			if err != nil || got != test.want {
				t.Errorf("%q: told %+v, error %v, want %+v", test.value, got, err, test.want)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	t.Setenv(systemd.StopTimeoutVariable, "53")
	if got, err := systemd.StopTimeout(ctx); err != nil || got.Duration != 53*time.Second {
		t.Errorf("told %+v, error %v, after ctx was done", got, err)
	}
	t.Setenv(systemd.StopTimeoutVariable, "soon")
	if _, err := systemd.StopTimeout(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want fs.ErrNotExist", err)
	}
}
