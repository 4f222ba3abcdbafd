// Package pod runs a program for tests as container engines do, without one: as
// process 1 of a process namespace, in a root file system that holds the
// program and nothing else and cannot be written to, as a user without rights,
// with a network of its own.
//
// What makes it different from a container are its control group, which is the
// test's, and that no system call is forbidden.
package pod
