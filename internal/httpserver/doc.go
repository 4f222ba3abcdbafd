// Package httpserver readies an http.Server of the program for a service whose
// connections outlive its processes.
//
// [Server.Prepare] takes the fields of the server as they are, and puts others
// in their place that call them. Through these it is told of each connection,
// announces in responses that a connection is to close, cancels requests at the
// end of a drain, says GOAWAY, and runs the functions of RegisterOnShutdown.
// The program's own functions see what net/http alone would show them.
//
// Connections that the program hijacks through heirloom are those of
// Server.Hijacked.
//
// How connections are followed and move is package conntrack's.
package httpserver
