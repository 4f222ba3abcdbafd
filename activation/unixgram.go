package activation

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
)

// UnixPacketConn is a Unix datagram socket that was bound by [BindPacket]. It
// unlinks its path on Close, which package net does for listeners only. Several
// goroutines may use it at once.
type UnixPacketConn struct {
	*net.UnixConn
	path  string
	bound os.FileInfo // nil if the name has no file
	keep  atomic.Bool
	once  sync.Once
}

var _ net.PacketConn = (*UnixPacketConn)(nil)

func bindUnixgram(path string) (net.PacketConn, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	c := &UnixPacketConn{UnixConn: conn, path: path}
	if path == "" || path[0] == '@' || path[0] == 0 {
		return c, nil
	}
	c.bound, err = os.Lstat(path)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

// SetUnlinkOnClose sets whether Close unlinks the path; it does unless told
// otherwise. A process that hands the socket on must set it to false.
func (c *UnixPacketConn) SetUnlinkOnClose(unlink bool) {
	c.keep.Store(!unlink)
}

// Close unlinks the path, if it still is the very socket that was bound there
// (device and inode), and closes the socket. A second call unlinks nothing and
// returns an error matching net.ErrClosed.
func (c *UnixPacketConn) Close() error {
	c.once.Do(c.unlink)
	return c.UnixConn.Close()
}

// unlink runs before the socket is closed: while it lives, no other starter
// replaces the path between the two calls.
func (c *UnixPacketConn) unlink() {
	if c.bound == nil || c.keep.Load() {
		return
	}
	if now, err := os.Lstat(c.path); err == nil && os.SameFile(now, c.bound) {
		_ = os.Remove(c.path)
	}
}
