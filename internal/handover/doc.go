// Package handover is what two generations of a service say to each other on the handover socket.
//
// The socket is a pair of Unix SOCK_SEQPACKET sockets which the predecessor makes before it starts the successor. Each
// message is one packet: a JSON object, and the descriptors it speaks of as SCM_RIGHTS. A packet arrives whole or not at
// all, so a socket may change hands between two messages; and the death of either side is an end-of-file, which no reused
// process id can fake.
//
// A reload, as the two sides see it:
//
//	predecessor                                   successor
//	inheritance: generation, what was bound  -->
//	                                         <--  ready: the listeners it serves (or failed: why not)
//	go                                       -->
//	                                         <--  serving
//	main: the service manager knows you      -->
//	adopt: the sockets of older generations  -->
//	connections: those that came to rest     -->
//	                                         <--  taken: how many of them arrived
//	(end-of-file: drained)
//
// While a predecessor drains, its successor may ask it for its status, hurry it, or tell it to stop. When the successor is
// itself replaced, it gives its end of each older generation's socket to its own successor, which introduces itself with
// heir.
//
// Where the predecessor is gone before the successor is there, by a restart or by re-exec in place, the same messages wait in
// the socket: inheritance, connections, state, and main if a reload is to be accounted for. Send and Receive that do not
// wait, and Peek, are for that.
//
// # Compatibility
//
// The two sides are two versions of one program and may be built with two versions of this library. A side ignores message
// types and fields it does not know. Protocol is raised only for a change that an older side could not survive by ignoring
// it; a predecessor refuses a successor whose Protocol is lower than its MinProtocol, and a process that finds a queue leaves
// it alone if the queue says, as MinReader, that it takes a newer one to understand.
package handover

// Protocol is the version of the messages this package speaks; MinProtocol the oldest it still understands.
const (
	Protocol    = 1
	MinProtocol = 1
)
