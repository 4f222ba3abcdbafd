package lifecycle

import (
	"time"

	"github.com/heirloom-go/heirloom/internal/control"
)

// SetPatience makes commands ask soon and often whether the service is there,
// and sets how long it may take to say so.
func SetPatience(d time.Duration) {
	commandPatience = control.Patience{Answer: d, Probe: 50 * time.Millisecond}
}
