//go:build !linux

package activation

import (
	"errors"
	"net"
	"os"
)

// Tables have no entries here, so nothing below is reached.

func (e *entry) listener() (net.Listener, error)     { return nil, errors.ErrUnsupported }
func (e *entry) packetConn() (net.PacketConn, error) { return nil, errors.ErrUnsupported }
func (e *entry) conn() (net.Conn, error)             { return nil, errors.ErrUnsupported }
func (e *entry) openFile() (*os.File, error)         { return nil, errors.ErrUnsupported }
func (e *entry) close() error                        { return os.NewFile(uintptr(e.fd), e.Name).Close() }
