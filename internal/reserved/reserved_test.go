package reserved_test

import (
	"testing"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/control"
	"github.com/heirloom-go/heirloom/internal/fdstore"
	"github.com/heirloom-go/heirloom/internal/reserved"
)

func TestIs(t *testing.T) {
	for name, want := range map[string]bool{
		activation.HandoverName: true, control.ListenerName: true, fdstore.LedgerName: true, fdstore.Name(1): true, fdstore.Name(70): true,
		"": false, "http": false, "-control": false, "-3": false, "3": false,
		"heirloom3": false, "heirloom-": false, "heirloom-0": false, "heirloom-03": false, "heirloom-+3": false, "heirloom-web": false,
		"my-heirloom": false, "Heirloom": false,
	} {
		if got := reserved.Is(name); got != want {
			t.Errorf("%q: got %v", name, got)
		}
		if _, stored := fdstore.Generation(name); stored && !want {
			t.Errorf("%q may be in the store", name)
		}
	}
}
