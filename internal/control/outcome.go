package control

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// OutcomeError returns what a reload that ended so is to return.
func OutcomeError(o handover.Outcome) error {
	switch o.Reason {
	case "":
		return nil
	case ErrStopping.Error():
		return ErrStopping
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("%w: %s: %w", ErrReload, o.Reason, errors.ErrUnsupported)
	}
	return fmt.Errorf("%w: %s", ErrReload, o.Reason)
}
