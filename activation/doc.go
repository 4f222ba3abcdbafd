// Package activation answers one question for a daemon at its start: which open
// files was this process handed, and by whom?
//
// There is at most one table of named files per process. [Inherit] reads it
// once, from the variables systemd sets for socket units, OpenFile= and the
// file descriptor store (sd_listen_fds(3), systemd.socket(5),
// systemd.service(5)), and which a predecessor of the same daemon sets for its
// successor ([Environ]). From then on the table owns those descriptors: they
// are close-on-exec, the variables are gone, and each file leaves the table at
// most once, to the caller that claims it by name. [Table.Close] closes what
// nobody claimed.
//
// The same main runs under systemd, as a successor and in a terminal:
// [Table.Listen] returns the listener that was handed under a name or, when
// there was none, binds the address itself. What was handed wins over the
// address in the code, because the operator's socket unit decides where a
// service listens.
//
//	func main() {
//		table, err := activation.Inherit()
//		if err != nil {
//			log.Fatal(err)
//		}
//		ln, err := table.Listen("web", "tcp", ":8080")
//		if err != nil {
//			log.Fatal(err)
//		}
//		if err := table.Close(); err != nil { // nobody else claims anything: close the rest
//			log.Print(err)
//		}
//		log.Fatal(http.Serve(ln, nil))
//	}
//
// # Names
//
// A name stands for an ordered list of files: one socket unit may hold several
// ListenStream= lines, and all of them carry its FileDescriptorName=. A call
// looks only at files of the kind it can return, so ListenStream=53 and
// ListenDatagram=53 of one unit share a name without getting in each other's
// way. Where several fit, the address picks. A name of which everything was
// claimed, or closed by Table.Close, is an error: a daemon that quietly bound
// the address again would fight with the socket it was given.
//
// # Descriptors
//
// Sockets, FIFOs and message queues come back non-blocking and in Go's poller,
// other files as they were handed. Every listener, connection and file of this
// package implements [syscall.Conn]; use that to reach the descriptor, and not
// (*os.File).Fd or (*net.TCPListener).File, which make the open file
// description blocking for every process that shares it.
//
// A Unix socket's path is unlinked only by the process that bound it: a handed
// listener leaves it alone, one from [Bind] unlinks it on Close unless
// SetUnlinkOnClose(false) was called.
//
// # Other systems
//
// systemd is Linux only. Elsewhere [Inherit] returns an empty table, so Listen
// and Bind simply bind; what needs Linux (vsock, groups of more than one
// socket) answers an error that matches [errors.ErrUnsupported].
package activation
