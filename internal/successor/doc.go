// Package successor is the next generation as the process before it sees it.
//
// [Start] starts the program as a process of its own and waits until that
// serves. Until then nothing has changed: a program that does not start, dies,
// fails or takes too long is killed, and the error says why. It is the
// predecessor that says when the successor may accept connections, and it says
// so only to one that is ready: a successor that dies on the way must not take
// a connection with it.
//
// A [Successor] serves. It is sent messages and connections at rest, and says
// which of these it has taken. It may itself be replaced: then its own
// successor has the other end of the same socket, and introduces itself.
package successor
