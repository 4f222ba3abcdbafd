package main

import (
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// mostDescriptors is how many a message may bring: SCM_MAX_FD in unix(7).
const mostDescriptors = 253

// A manager is as much of a service manager as hello needs to start its next
// generation beside itself: a socket for what it has to say. The descriptors
// that come along are closed, which tells hello that nothing is stored here,
// and ends its barriers.
type manager struct {
	address string
	socket  *net.UnixConn
	reading sync.WaitGroup
}

func startManager(address string) (*manager, error) {
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	m := &manager{address: address, socket: socket}
	m.reading.Go(m.read)
	return m, nil
}

func (m *manager) read() {
	message, control := make([]byte, 1<<16), make([]byte, unix.CmsgSpace(4*mostDescriptors))
	for {
		_, n, _, _, err := m.socket.ReadMsgUnix(message, control)
		if err != nil {
			return
		}
		closeAll(control[:n])
	}
}

func closeAll(control []byte) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return
	}
	for _, message := range messages {
		fds, err := unix.ParseUnixRights(&message)
		if err != nil {
			continue // it is of another kind
		}
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}
}

func (m *manager) end() error {
	err := m.socket.Close()
	m.reading.Wait()
	if removeErr := os.Remove(m.address); err == nil && !os.IsNotExist(removeErr) {
		err = removeErr
	}
	return err
}
