package transfer

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"testing"
)

// TestMain is the process of TestOwnerShortage as well.
func TestMain(m *testing.M) {
	if os.Getenv("HEIRLOOM_TEST_ROLE") != "shortage" {
		os.Exit(m.Run())
	}
	if err := shortage(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
