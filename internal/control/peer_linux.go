package control

import (
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// isTrusted reports whether the process at the other end of a Unix connection
// runs as root or as this process's user. Peer credentials are Linux's own:
// elsewhere every peer is trusted, and the mode of the socket decides who may
// connect.
func isTrusted(nc net.Conn) bool {
	trusted := false
	fdutil.Control(nc, func(fd int) {
		cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		trusted = err == nil && (cred.Uid == 0 || int(cred.Uid) == os.Geteuid())
	})
	return trusted
}
