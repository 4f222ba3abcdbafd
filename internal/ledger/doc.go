// Package ledger has connections at rest outlive the process that serves them,
// however it ends: by a panic, by the OOM killer, by SIGKILL.
//
// A [Ledger] is three descriptors: a page of shared memory, and both ends of a
// queue. The service manager holds duplicates of them from the start on, in
// its file descriptor store, and is told nothing more. So nothing is left to do
// when the process ends. The next process gets the three from the service
// manager, opens the Ledger with them, and goes on with it.
//
// In the queue, a pair of Unix sockets, wait duplicates of the connections. A
// connection is queued once in its life: it enters when it has lived for a
// while and is at rest, by [Ledger.Enter]. The page has a slot for each. There
// the connection writes, each time that it comes to rest, how many bytes had
// been read from it until then. That is two stores into memory for a request.
//
// The next process compares that number with the kernel's own count. If they
// are equal, no byte of another request was read: the connection is at rest as
// it was, and whatever its client has sent since waits in the kernel. If they
// differ, a request had begun, and has died with its process: the connection is
// closed. Nothing has to be written before a read, so a process may be killed
// at any instruction. What the page says is never believed by itself: a page
// that lies closes connections, and gives none away.
//
// A connection may note what was written to it as well, see [Mark.CountWritten].
// Then the next process can tell a request that was read, and of whose response
// nothing was written, from one whose response had begun. It may answer the
// former. That is optional in the page: where the number is missing or old, the
// response seems to have begun.
//
// [Ledger.Adopt] looks into the queue without removing anything, so that it may
// be killed as well, and the process after that begins again. Dead entries are
// removed later: the live ones of the first messages are queued again, and then
// those messages are received without their descriptors (compact.go).
//
// Because of its duplicate in the queue, a connection that is closed here stays
// open. So [Mark.Close] says that it has to be shut down, which ends it
// wherever it is. Before connections are passed to another process this must no
// longer happen: [Ledger.End] empties the queue.
//
// Connections of TCP have such a count. Those of Unix sockets and of Multipath
// TCP have not, and are refused.
//
// # Crash loops
//
// A connection of which a request had been read when the process died is never
// served again. So a request that kills the process does so once for each
// connection that it came by. If several processes in a row die young, all
// connections are closed: see [Adopted.Dropped].
package ledger
