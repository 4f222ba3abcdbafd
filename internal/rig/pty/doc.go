// Package pty opens pseudoterminals, for tests of programs in a terminal,
// on Linux only.
package pty
