package sockets

import (
	"os"
	"strings"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// pathOf returns the path that b has in the file system, "" if none.
func pathOf(b handover.Bound) string {
	if !strings.HasPrefix(b.Network, "unix") || strings.HasPrefix(b.Address, "@") {
		return ""
	}
	return b.Address
}

// isThere reports whether what an earlier generation had bound can still be
// reached at its address: a Unix path may be gone, or another's.
func isThere(b handover.Bound) bool { return pathOf(b) == "" || isOwnPath(b) }

// isOwnPath reports whether b has a path, and is what is found there.
func isOwnPath(b handover.Bound) bool {
	return b.File != (handover.FileID{}) && b.File == fileOf(b)
}

// RemovePath removes the path of a socket, unless it is another's by now.
func RemovePath(b handover.Bound) error {
	if !isOwnPath(b) {
		return nil
	}
	return os.Remove(b.Address)
}
