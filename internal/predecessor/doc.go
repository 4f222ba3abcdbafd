// Package predecessor is an older generation as the process after it sees it.
//
// A [Predecessor] still drains. It has one end of a handover socket, over which
// it sends its connections at rest and is asked how far it is. It is the direct
// predecessor, or one before that whose socket the direct predecessor has
// passed on. The socket has one reader at any time: it changes hands between
// two messages, after [Predecessor.Give] or [Predecessor.Close] has stopped the
// reader here.
//
// A socket says when the process at its other end is gone, and it can be given
// away only once. So the sockets do not say when all older generations are
// gone: some were never known here, and others died in between. For that there
// are the pipes of [Older], which the kernel closes however a process ends.
package predecessor
