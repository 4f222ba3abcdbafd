//go:build !linux

package systemd_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/systemd"
)

func TestOther(t *testing.T) {
	ends, err := systemd.Ending(t.Context())
	if ends || !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), runtime.GOOS) {
		t.Errorf("ends %v, error %v", ends, err)
	}
	timeout, err := systemd.StopTimeout(t.Context())
	if timeout != (systemd.Timeout{}) || !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), runtime.GOOS) {
		t.Errorf("timeout %+v, error %v", timeout, err)
	}
}
