// Package reserved knows which names heirloom itself gives to descriptors. A
// program's sockets have others: by its name a process finds what the one
// before it, or systemd, handed to it.
package reserved

import (
	"strconv"
	"strings"
)

// Is reports whether heirloom uses the name itself: for the handover, for the
// control socket, for the ledger, or, with a number, for what a generation has
// in the store.
func Is(name string) bool {
	switch name {
	case "heirloom", "heirloom-control", "heirloom-ledger":
		return true
	}
	digits, ours := strings.CutPrefix(name, "heirloom-")
	n, err := strconv.Atoi(digits)
	return ours && err == nil && n > 0 && strconv.Itoa(n) == digits
}
