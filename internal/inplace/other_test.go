//go:build !linux

package inplace_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/inplace"
)

func TestUnsupported(t *testing.T) {
	_, err := inplace.Open("/bin/sh")
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), runtime.GOOS) {
		t.Error(err)
	}
}
