// Package handover is what two generations of a service say to each other on
// the handover socket.
//
// The socket is a pair of Unix SOCK_SEQPACKET sockets which the predecessor
// makes before it starts the successor. Each message is one packet: a JSON
// object, and the descriptors it speaks of as SCM_RIGHTS. A packet arrives
// whole or not at all, so a socket may change hands between two messages; and
// the death of either side is an end-of-file, which no reused process id can
// fake.
//
// A reload, as the two sides see it:
//
//	predecessor                                   successor
//	hello: generation, what was bound        -->
//	                                         <--  ready: the listeners it serves (or failed: why not)
//	go                                       -->
//	                                         <--  serving
//	main: the service manager knows you      -->
//	predecessor: the sockets of older ones   -->
//	connections: those that came to rest     -->
//	                                         <--  accepted: how many of them arrived
//	(end-of-file: drained)
//
// While a predecessor drains, its successor may ask it for its status, give it
// a deadline, or tell it to stop. When the successor is itself replaced, it
// gives its end of each older generation's socket to its own successor, which
// introduces itself with retarget.
//
// Where the predecessor is gone before the successor is there, by a restart or
// by re-exec in place, the same messages wait in the socket: hello,
// connections, state, and main if a reload is to be accounted for. Send and
// Receive that do not wait, and Peek, are for that.
//
// # Compatibility
//
// The two sides are two versions of one program and may be built with two
// versions of this library. A side ignores message types and fields that it
// does not know. So a change is either optional, and what is left out means
// what it meant before, or it is a new protocol number with both spoken;
// docs/internals.md lists every field.
//
// Protocol is raised only for a change that an older side could not survive by
// ignoring it; a predecessor refuses a successor whose Protocol is lower than
// its MinProtocol, and a process that finds a queue leaves it alone if the
// queue says, as MinReader, that it takes a newer one to understand. It drops a
// queue whose Protocol is lower than its MinProtocol.
package handover

// Protocol is the version of the messages this package speaks; MinProtocol the
// oldest it still understands.
const (
	Protocol    = 2
	MinProtocol = 2
)
