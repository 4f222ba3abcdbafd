package conntrack

import (
	"net"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// Blank lines before a request are not part of it: "a server that is expecting
// to receive and parse a request-line SHOULD ignore at least one empty line
// (CRLF) received prior to the request-line" (RFC 9112, section 2.2). Some old
// clients send one after the body of a POST.
//
// net/http forgives up to four such bytes, and only after a POST. It remembers
// that of the connection (lastMethod in server.go), and waits for a request
// that has begun. Neither would survive a move. So a conn that waits for a
// request drops all CR and LF bytes that come first and waits on: to its
// server, and to a drain, nothing has come. That holds for a new connection and
// after any method as well, where net/http alone would answer 400: a connection
// that moved is new to its next server, whatever was asked for before. It is
// not done under TLS where a conn sees records, as it does where sessions do not
// move (see Server.Secure).
//
// What came in one segment with the request before is in the server's buffer
// by then and cannot be dropped. But that the buffer holds nothing else is
// known, and such a connection rests as well. Where it moves, nothing is lost
// but the blank lines.

// maxBlank is how many bytes net/http waits for before it parses a request: it
// never waits with more of them in its buffer.
const maxBlank = 4

func isBlank(b byte) bool { return b == '\n' || b == '\r' }

// trimBlank returns p without the CR and LF bytes that it begins with.
func trimBlank(p []byte) []byte {
	for len(p) > 0 && isBlank(p[0]) {
		p = p[1:]
	}
	return p
}

// dropBlank moves what follows the blank lines that p begins with to the front
// of p and returns how much that is.
func dropBlank(p []byte) int { return copy(p, trimBlank(p)) }

// blankTail returns with how many CR and LF bytes a stream ends, maxBlank at
// most, which ended with tail of them before p.
func blankTail(tail int, p []byte) int {
	n := 0
	for n < len(p) && n < maxBlank && isBlank(p[len(p)-1-n]) {
		n++
	}
	if n == len(p) {
		n = min(n+tail, maxBlank)
	}
	return n
}

// hasRequest reports whether the kernel holds bytes of a connection that are
// more than blank lines.
func hasRequest(nc net.Conn) bool {
	var p [256]byte
	return len(trimBlank(p[:fdutil.Peek(nc, p[:])])) > 0
}
