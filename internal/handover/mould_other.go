//go:build !linux

package handover

import "net"

// NewMould makes the zero value.
func NewMould() *Mould { return new(Mould) }

// NetConn is the function of the same name.
func (m *Mould) NetConn(fd int) (net.Conn, error) { return NetConn(fd) }
