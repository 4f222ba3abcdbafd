// Package process starts the next process with raw descriptors, and waits for
// the end of one that need not be a child of this one.
//
// It starts by raw descriptors and syscall.ForkExec, and waits by a pidfd where
// the kernel has them: so a wait can be ended, and no other process that got
// the number in the meantime is taken for the one meant.
package process
