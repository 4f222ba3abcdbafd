// Package conntrack knows which connections a process has, from Accept to
// Close, and which of them are at rest: those of HTTP/1 whose server waits for
// a request of which no byte has come. Only such a connection can be taken from
// its server with nothing lost.
//
// A [Registry] holds every connection of the process, of whatever protocol. It
// also holds what all of them have to know of a drain: who takes them over (the
// [Sink]), and whether time is running out. How far the drain is with the
// connections of one listener is the [Phase] of their [Endpoint].
//
// A [Server] stands between an http.Server and its listener. Each connection
// that the listener accepts is wrapped, and the wrapper follows what net/http
// does with it: which deadlines it sets, how long its reads are, and which
// http.ConnState it reports. From these the wrapper judges whether the
// connection is at rest (atrest.go). [Server.Rehearse] tries in memory whether
// this Go release behaves as that judgement needs it.
//
// A drain sets the Phase and then calls [Registry.ReleaseAtRest]. For a
// connection at rest that wakes the server's Read with a deadline in the past.
// The server then closes the connection, and Close gives it to the Sink
// instead. A connection that comes to rest later sees to it by itself. What the
// client sends meanwhile stays in the kernel, for the process that reads next.
//
// Connections at rest may also outlive the process: [Registry.KeepIn] has those
// of TCP entered in a ledger (keep.go), and each notes there when it comes to
// rest. That ends before a drain takes any of them.
//
// A connection has one owner at any time: its server, then the Sink, then the
// process that has received it. The Sink ends its ownership either by [Close],
// when another process has the connection, or by [Registry.TakeBack] or
// [Registry.ServeMeanwhile], which have it served here again.
//
// No method waits for a client, and a request costs no goroutine, allocation or
// lock that net/http alone would not need.
package conntrack
