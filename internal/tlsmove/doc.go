// Package tlsmove moves live TLS 1.3 connections between processes, by exported
// Go API alone.
//
// What a TLS 1.3 connection is, once the handshake is over, is little (RFC 8446,
// 5 and 7): the cipher suite, and for each direction a secret and the number of
// the next record. crypto/tls tells a tls.Config.KeyLogWriter the secrets. The
// numbers are counted from below, on the wire, where a record shows its length
// and nothing else; and before anything moves they are proven: the last records
// of both directions must open with the keys, and under the numbers, that are
// claimed. Then a record layer of this package goes on where that of crypto/tls
// stopped. It can stop, and be gone on from, any number of times.
//
// # Use
//
// A server makes a Conn of each connection that it accepts, by Server, with a
// configuration of Config, and completes the handshake. If Judge says that the
// connection never moves (TLS 1.2, HTTP/2, FIPS 140 mode), it serves Standard, a
// *tls.Conn, as ever. Else it serves the Conn itself, from the first request on,
// because of a *tls.Conn nobody sees how long its reader's buffer is, which is
// how internal/conntrack tells a server at rest from one with the beginning of
// the next request; and because its Close would seal a close_notify under a
// number that the successor uses.
//
// To move it, the server's waiting Read is woken by a deadline that is over, and
// Export called before the error is returned to the server. The state travels
// beside the descriptor, as that of a stream does (handover.Message.States). If
// Export refuses, the Read is repeated, and the server has not noticed anything.
// In the successor Adopt makes a Conn of both, and an http.Server that serves
// that over a plain listener does as before.
//
// # Request.TLS
//
// net/http fills it from any connection with a ConnectionState method (since Go
// 1.16 or so; in Go 1.25 to 1.27 conn.serve, connectionStater), so a handler
// needs no wrapper and no ConnContext. What it sees of a moved connection is what
// the handshake led to. ExportKeyingMaterial returns an error. A program that
// asserts that a connection is a *tls.Conn finds that it is not, already before
// the move. HTTP/2 needs a *tls.Conn, and gets one.
//
// # What must never happen
//
// A number that is used twice under one key gives away what was encrypted, and
// with AES-GCM the key to forge more. So from the moment that Export has decided,
// under the lock that every write takes, nothing can be written any more by the
// one who exported, and there is no way to undo it. Adopt spends the state. A
// successor that took a state and died took the connection with it. Only a
// state that was never sent may be gone on with where it was made, by Reclaim.
//
// A client that is told nothing at all is better off than one that is told
// nonsense. So whatever is not understood makes a connection that stays: a wrong
// count, a KeyUpdate that hides behind padding, a forged record. And a release of
// Go whose crypto/tls is another one fails in Rehearse, after which everything
// stays.
//
// # Secrets
//
// A tap remembers the secrets of its connection as crypto/tls itself does. They
// are in the state in the clear: who can read it can read, and forge, all that is
// sent from then on, though nothing from before the last KeyUpdate. They are
// zeroed when they are not needed any more, as far as Go allows.
package tlsmove
