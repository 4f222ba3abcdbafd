//go:build !linux

package activation

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

func thisProcess() process {
	return process{pid: os.Getpid(), pidfdID: func() (uint64, bool) { return 0, false }, maxFiles: maxPID}
}

// take hands nothing out: no service manager of this system speaks the
// protocol.
func take(h handed, err error) (*Table, error) {
	if err != nil {
		return nil, err
	}
	if len(h.names) > 0 {
		h.ignored = fmt.Errorf("activation: %s on %s: %w", varCount, runtime.GOOS, errors.ErrUnsupported)
	}
	return &Table{ignored: h.ignored}, nil
}
