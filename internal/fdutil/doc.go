// Package fdutil does with file descriptors what net and os do not: it
// duplicates and closes raw ones, and asks the kernel what it holds of a
// connection.
//
// It never changes an open file description, which other generations may share:
// O_NONBLOCK in particular stays as it is. Hence syscall.RawConn everywhere,
// and never File.Fd.
//
// Elsewhere than on Linux there are no descriptors to hand on, and what cannot
// be known about a connection is answered as each function says.
package fdutil
