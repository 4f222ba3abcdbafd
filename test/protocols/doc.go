// Package protocols holds the tests of everything a daemon may serve: HTTP/1.1
// and HTTP/2 over TLS, HTTP/2 without TLS, gRPC, server-sent events,
// WebSockets, plain streams and datagrams, on real systemds, through reloads
// and restarts under load. The clients are h2load, curl, a browser, and those
// of the libraries: programs that nobody here wrote, and that say in their own
// way whether a request broke.
//
// It is a module of its own, so that those who import heirloom do not get gRPC
// and a browser's remote control with it.
//
// Each test does thirty reloads and thirty restarts, or as many as
// sdtest.Rounds says.
//
// The tests of TLS connections that move (tls_*_test.go) have a daemon of their
// own, tlsd, and clients of every implementation of TLS that Debian has at hand:
// OpenSSL, GnuTLS, Java's, the browser's and Go's. make tls-proof does with many
// clients, and often, what they do in short.
package protocols
