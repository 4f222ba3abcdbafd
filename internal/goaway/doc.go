// Package goaway ends the HTTP/2 connections of a net/http server without
// breaking one request, not even of a client that never retries.
//
// The model: between net/http's HTTP/2 and the connection sits a thin layer
// that sees the plaintext frames of both directions. It changes nothing until
// the server is drained. Then each connection is ended in four steps, each of
// which waits for the client and not for time:
//
//  1. GOAWAY with the last stream id 2^31-1 and a PING are put between two
//     frames of the server. The client opens no more streams once it has read
//     them; those it opened while they were on their way are served (RFC 9113,
//     section 6.8). Its PING ACK says that it has read them.
//  2. When, some milliseconds later, no stream is left, the client is sent a
//     PING, and if no stream has come before its ACK, HTTP/2 is told, in the
//     client's name, that the client goes away. If one has come, this begins
//     again when none is left. HTTP/2 answers with the final GOAWAY. All that
//     the client sent before is processed by then, because the message stands
//     in line with the client's own frames.
//  3. HTTP/2's answer to one more frame in the client's name, a PING, marks the
//     place where everything it had to say has been written. The layer makes it
//     a PING to the client.
//  4. Its ACK says that the client has read all of it. The connection is closed.
//
// The way to net/http's HTTP/2 and what it does there is not in its
// documentation: it was read from the source of Go 1.25 to 1.27, and [Prepare]
// tries it in memory. Comments name its parts as in h2_bundle.go, which since Go
// 1.27 is net/http/internal/http2.
//
// net/http alone sends one GOAWAY with the last stream it has seen and drops
// the streams that were on their way (processFrame in h2_bundle.go), and waits
// a second for the client to close (goAwayTimeout).
//
// A connection that is new and has had no request yet is left alone until it has,
// for a second at most: its client has connected in order to send one.
//
// A client that closes by itself may do so at any step. One that never answers
// a PING, or opens streams for ever, gets net/http's own treatment after the
// linger that [Drainer.Drain] is told.
//
// Of each connection [Streams] tell for whom its requests wait, so that a client
// that leaves them unfinished can be told from a handler that works.
//
// What no server can prevent: a client that opens streams after it has
// acknowledged the first GOAWAY breaks the protocol. It is served until no
// stream is left or the linger ends, and what it opens after that is lost. And a
// request that a client has queued but not sent when it reads GOAWAY has to go
// over a new connection. h2load has no way to open one, and counts what it has
// not sent as failed; net/http's client needs Request.GetBody for it. And
// net/http drops a connection whose SETTINGS it has not read within two seconds
// (firstSettingsTimeout), which on a machine that stalls may be one of a client
// that has sent them.
//
//	server := &http.Server{Handler: handler}
//	drainer, err := goaway.Prepare(server, nil)
//	go server.ServeTLS(listener, "cert.pem", "key.pem")
//	<-stop
//	listener.Close()
//	drainer.Drain(5 * time.Second)
//
// Since Go 1.27 HTTP/2 does not heed SetKeepAlivesEnabled of a prepared server,
// and connections that speak TLS but are no *tls.Conn have no HTTP/2.
//
// Nothing here depends on the operating system.
package goaway
