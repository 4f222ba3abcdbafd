package fdstore

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/ledger"
	"github.com/heirloom-go/heirloom/notify"
)

// TestKeeping says why nothing is kept, keeps connections in a ledger, and has
// that leave the store when it ends.
func TestKeeping(t *testing.T) {
	var log bytes.Buffer
	errNobody, errLeaving := errors.New("no service manager"), errors.New("they leave")
	k := NewKeeping(conntrack.New(conntrack.Config{}), errNobody, hclog.New(&hclog.LoggerOptions{Output: &log}))
	var told []notify.State
	tell := func(states ...notify.State) { told = append(told, states...) }
	k.End(errLeaving, tell)
	if !errors.Is(k.Off, errNobody) || len(told) > 0 {
		t.Errorf("an end before it began: off for %v, told %v", k.Off, told)
	}
	t.Setenv("FDSTORE", "")
	k.Begin(New(Config{Log: hclog.NewNullLogger()}, &Found{}), 0)
	if !errors.Is(k.Off, ErrNoStore) {
		t.Errorf("without a store it is off for %v", k.Off)
	}
	l, err := ledger.New()
	if err != nil {
		t.Fatal(err)
	}
	k.GoOn(l)
	if k.Off != nil || k.Stats() != (ledger.Stats{}) {
		t.Errorf("off for %v, with %+v", k.Off, k.Stats())
	}
	k.End(errLeaving, tell)
	if !errors.Is(k.Off, errLeaving) || len(told) != 1 || k.Stats() != (ledger.Stats{}) {
		t.Errorf("off for %v, told %v", k.Off, told)
	}
	k.TookOver(ledger.Adopted{Connections: 3, Cut: 1})
	if k.Adopted.Connections != 3 || !strings.Contains(log.String(), "connections outlived a crash") {
		t.Errorf("adopted %+v, the log is %q", k.Adopted, &log)
	}
}

// TestCheckRoom has a store that is large enough, and one that is not.
func TestCheckRoom(t *testing.T) {
	const sockets = 2 // with a handover socket and a ledger that is six
	for most, fits := range map[int]bool{0: false, 5: false, 6: true, 64: true} {
		if err := CheckRoom(most, sockets); (err == nil) != fits {
			t.Errorf("%d: %v", most, err)
		}
	}
}
