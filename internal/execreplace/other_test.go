//go:build !linux

package execreplace_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/execreplace"
)

func TestUnsupported(t *testing.T) {
	_, err := execreplace.Open("/bin/sh")
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), runtime.GOOS) {
		t.Error(err)
	}
}
