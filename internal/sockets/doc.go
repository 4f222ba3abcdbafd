// Package sockets has the listeners and packet sockets of a service.
//
// Each has a name. It is taken from what systemd or an earlier generation
// handed over, or else bound, and from then on one [Socket] owns it: that one
// knows the name, whose address it is, and how to close it. A [Set] has all of
// them. It finds the Socket of a listener again when the program has put
// another listener around it, and says what the next process is handed.
package sockets
