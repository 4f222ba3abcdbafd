//go:build !linux

package activation_test

import (
	"errors"
	"testing"

	"github.com/heirloom-go/heirloom/activation"
)

func TestElsewhere(t *testing.T) {
	t.Setenv("HEIRLOOM_PREDECESSOR", "1")
	t.Setenv("LISTEN_FDS", "1")
	table, err := activation.Inherit()
	if err != nil || len(table.Files()) != 0 || !errors.Is(table.Ignored(), errors.ErrUnsupported) {
		t.Errorf("got %v, %v, want an empty table that says why", table, err)
	}
	ln, err := table.Listen("web", "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if _, err := table.Listen("v", "vsock", ":1"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("vsock: %v", err)
	}
	if _, err := table.ListenGroup("g", "tcp", "127.0.0.1:0", 2); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a group of two: %v", err)
	}
}
