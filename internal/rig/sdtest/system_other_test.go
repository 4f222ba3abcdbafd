//go:build !linux

package sdtest_test

import (
	"errors"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

func TestUnsupported(t *testing.T) {
	if _, err := sdtest.BootBare("/"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error is %v, want errors.ErrUnsupported", err)
	}
}
