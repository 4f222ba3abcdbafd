// Package e2e holds the tests of examples/hello as its users run it: on real
// systemds, under a unit as one would ship it, in a terminal and as PID 1 of a
// container, under clients that never retry.
package e2e
