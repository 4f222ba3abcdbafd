// Package fdstore keeps in systemd's file descriptor store (FDSTORE=1 of
// sd_notify(3)) what the next process needs after a restart or a crash, and
// finds what an earlier process has left there.
//
// Three kinds of files are stored: each listener that the service has bound
// itself, the ledger ([LedgerName]), by which connections outlive a crash, and
// for each generation a handover socket named [Name]. In that socket connections
// at rest and passed state wait for the next process; see transfer.Queue.
// Connections are not stored one by one: systemd compares each new descriptor
// with all that it has.
//
// [Find] reads what is there, and takes nothing out: a process that fails to
// become ready leaves all of it to the next one. A [Store] writes, and only the
// main process of the service may. It removes what a generation left only once
// all connections in it are taken over.
//
// The store does not answer. Whether it has refused the socket shows on the
// socket's other end, some time later.
package fdstore
