// Package failing has a system call fail, as it does in a sandbox or for want of
// memory.
package failing
