// Package servicemanager knows who listens on NOTIFY_SOCKET, and tells it what
// becomes of the service.
//
// It may be systemd, which makes another process the main one when it is told
// MAINPID=, or somebody who only reads READY=1, or nobody. [Meet] decides that
// once. It is what decides whether a successor may run beside this process, or
// the program must be replaced in it.
package servicemanager
