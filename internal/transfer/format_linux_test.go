package transfer

import (
	"testing"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// TestSessionFormat offers sessions only to who reads what is written here.
func TestSessionFormat(t *testing.T) {
	g := newSecure(t)
	close(g.ran)
	for format, serves := range map[int]bool{0: tlsmove.Format == 1, tlsmove.Format: true, tlsmove.Format + 1: false} {
		g.SetTarget(handover.Message{Moving: handover.Moving{Sessions: []string{"http"}, SessionFormat: format}})
		if got := g.Serves(&conntrack.Endpoint{Name: "http", Kind: conntrack.HTTPS}); got != serves {
			t.Errorf("format %d: serves %t", format, got)
		}
	}
}
