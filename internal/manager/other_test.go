//go:build !linux

package manager_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/manager"
)

func TestOther(t *testing.T) {
	ends, err := manager.Ending(t.Context())
	if ends || !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), runtime.GOOS) {
		t.Errorf("ends %v, error %v", ends, err)
	}
	timeout, err := manager.StopTimeout(t.Context())
	if timeout != (manager.Timeout{}) || !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), runtime.GOOS) {
		t.Errorf("timeout %+v, error %v", timeout, err)
	}
}
