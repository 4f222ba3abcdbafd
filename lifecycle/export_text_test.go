package lifecycle

import (
	"io"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/reloads"
)

// StatusText is what STATUS= says.
var StatusText = statusText

// WriteStatus writes s for people.
func WriteStatus(s Status, out io.Writer) error { return s.write(out) }

// FailedReason returns what is said of a reload that failed for that reason.
func FailedReason(reason string) string {
	return reloads.Failed(handover.Outcome{Reason: reason}).Reason
}
