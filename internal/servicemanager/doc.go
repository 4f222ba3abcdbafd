// Package servicemanager knows who listens on NOTIFY_SOCKET, and tells it what
// becomes of the service.
//
// It may be systemd, which makes another process the main one when it is told
// MAINPID=, or another program that only reads READY=1, or none. [Meet] decides
// that once. It is what decides whether a successor may run beside this
// process, or the program must be replaced in it.
package servicemanager
