package systemd_test

import (
	"net"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/filetree"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/systemd"
)

// TestAskStoreMax asks how large the file descriptor store may become.
func TestAskStoreMax(t *testing.T) {
	leakcheck.Check(t)
	peer(t, "systemd/private", func(c net.Conn) {
		serve(c, map[string]any{"FileDescriptorStoreMax": uint32(64)})
	})
	ctx, cancel := patience.Context(t.Context(), time.Minute)
	defer cancel()
	if n, err := systemd.AskStoreMax(ctx); err != nil || n != 64 {
		t.Errorf("%d, %v", n, err)
	}
}

// TestStoreMax reads it from files.
func TestStoreMax(t *testing.T) {
	t.Setenv("MANAGERPID", "")
	const lib, etc = "/usr/lib/systemd/system/", "/etc/systemd/system/"
	for text, want := range map[string]int{
		"": 0, "FileDescriptorStoreMax=64": 64, "FileDescriptorStoreMax=64\nFileDescriptorStoreMax=7": 7,
		"FileDescriptorStoreMax=64\nFileDescriptorStoreMax=many": 64, "FileDescriptorStoreMax=64\nFileDescriptorStoreMax=0": 0,
		"FileDescriptorStoreMax=4294967295": 2147483647, "FileDescriptorStoreMax=1_000": 0, "FileDescriptorStoreMax=0x40": 64,
	} {
		root := filetree.Write(t, map[string]string{lib + "a.service": "[Service]\n" + text + "\n"})
		if got, err := systemd.StoreMaxBelow(root, "a.service"); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	root := filetree.Write(t, map[string]string{
		lib + "a.service":          "[Service]\nFileDescriptorStoreMax=64\n",
		etc + "a.service.d/1.conf": "[Service]\nFileDescriptorStoreMax=3\n",
	})
	if got, err := systemd.StoreMaxBelow(root, "a.service"); err != nil || got != 3 {
		t.Errorf("with a drop-in %d, %v", got, err)
	}
	for _, unit := range []string{"", "b.service"} {
		if got, err := systemd.StoreMaxBelow(root, unit); err == nil {
			t.Errorf("%q: %d", unit, got)
		}
	}
}
