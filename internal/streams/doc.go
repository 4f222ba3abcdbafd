// Package streams serves connections, of any protocol, whose handlers may hand
// them over to the next process with some bytes of state.
//
// A [Server] calls its handler with a [Conn] for each connection: one that its
// listener has accepted, one that was hijacked from an http.Server, or one that
// another process has handed over. In a drain each Conn is told to leave: its
// Read is woken, by a deadline that is over. The handler then calls
// [Conn.HandOver], which passes the connection to the [conntrack.Sink]. What
// the client sends meanwhile stays in the kernel, for the handler of the next
// process.
//
// # TLS
//
// A Server that is [Server.Secure] completes the handshake of each connection
// before it calls the handler. If Movable is set, a session of TLS 1.3 is handed
// over like any other connection. Then there is more to take along than what
// the handler says: the state of the session (package tlsmove), and what the
// client has sent that was decrypted here and not read by the handler. All three
// travel as one state, which is secret.
//
// A session cannot leave in the middle of a record, half of which is in this
// process. So HandOver first waits for the rest, though not for ever, and begins
// no other record. Once the state of the session was sent, nothing is written
// here any more, whatever happens to it: if no process takes the connection, it
// is closed.
//
// Nothing here decides when a process drains.
package streams
