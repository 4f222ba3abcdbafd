// Package transfer takes connections at rest from one process to another, and
// never has two processes own one.
//
// A connection that comes to rest goes to a [conntrack.Sink], and there are
// two:
//
//   - a [Peer] is a successor that lives. It is sent connections in batches, and
//     acknowledges each batch. Until then they stay open here.
//   - a [Queue] is for a process that is still to come. The connections wait in
//     a socket, in the kernel alone, and so do their clients.
//
// On the other side a [Receiver] finds the server of what arrives, from a live
// predecessor or from a queue. It acknowledges connections before it serves
// them: what the sender must take back may not have been served here.
//
// Descriptors in flight count against RLIMIT_NOFILE of the sender's user, and
// the receiver needs room for a whole message at once. So both sides may run
// short of descriptors at any time. That is no failure: the connections stay
// where they are, are served there, and move when there is room.
//
// Connections of a process that has died may wait in its ledger. They come by
// [Receiver.TakeKept].
//
// What goes over the socket is that of package handover. Nothing here decides
// when a process drains.
package transfer
