//go:build !unix

package lifecycle

import (
	"os"

	"github.com/heirloom-go/heirloom/internal/handover"
)

var (
	defaultReloadSignals = []os.Signal{}
	defaultStopSignals   = []os.Signal{os.Interrupt}
	defaultStackSignals  = []os.Signal{}
)

func isPrivate(string) bool { return true }

func fileOf(handover.Bound) handover.FileID { return handover.FileID{} }
