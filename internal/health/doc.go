// Package health asks a program whether it is well: one [Check] answers probes,
// a predecessor that waits, and the [Watchdog] of the service manager.
package health
