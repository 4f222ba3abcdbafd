//go:build !linux

package notify_test

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/notify"
)

func TestElsewhere(t *testing.T) {
	n, err := notify.Dial("/run/systemd/notify")
	if n != nil || !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), runtime.GOOS) {
		t.Errorf("Dial: got %v, %v", n, err)
	}
	if n, err := notify.Dial("run/notify"); n != nil || !errors.Is(err, notify.ErrInvalid) {
		t.Errorf("Dial of an invalid address: got %v, %v", n, err)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	none, err := notify.New()
	if none != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("New: got %v, %v", none, err)
	}
	if err := none.Notify(notify.Ready()); err != nil {
		t.Errorf("Notify without a manager: %v", err)
	}
}
