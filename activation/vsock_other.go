//go:build !linux

package activation

import (
	"errors"
	"net"
)

func bindVsock(address string) (net.Listener, error) {
	if _, err := parseVsockAddr(address); err != nil {
		return nil, err
	}
	return nil, noVsock(errors.ErrUnsupported)
}

func (l *VsockListener) accept() (*VsockConn, error) { return nil, errors.ErrUnsupported }
func (c *VsockConn) shutdown(int) error              { return errors.ErrUnsupported }
