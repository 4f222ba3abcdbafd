package main

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// serveBare serves, with net/http and nothing else, the connections whose
// descriptors come in messages over descriptor 3. It answers each message with
// the number of connections that are served by then.
func serveBare() error {
	arrived := make(queue, 1<<15)
	var served atomic.Int32
	server := &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello\n") }),
		ConnState: func(net.Conn, http.ConnState) { served.Add(1) }, // none of them ends
	}
	go func() { _ = server.Serve(arrived) }()
	oob := make([]byte, unix.CmsgSpace(4*maxRights))
	for {
		n, oobn, _, _, err := unix.Recvmsg(3, make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
		if err != nil || n == 0 {
			return err
		}
		if err := take(oob[:oobn], arrived); err != nil {
			return err
		}
		if _, err := unix.Write(3, binary.NativeEndian.AppendUint32(nil, uint32(served.Load()))); err != nil {
			return err
		}
	}
}

// maxRights is how many descriptors a message may have: SCM_MAX_FD in the
// kernel.
const maxRights = 253

// take makes connections of what came with a message.
func take(oob []byte, arrived queue) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return err
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return err
		}
		for _, fd := range fds {
			file := os.NewFile(uintptr(fd), "")
			nc, err := net.FileConn(file)
			if err != nil {
				return err
			}
			_ = file.Close()
			arrived <- nc
		}
	}
	return nil
}

// A queue is a listener of connections that came otherwise.
type queue chan net.Conn

func (q queue) Accept() (net.Conn, error) { return <-q, nil }
func (q queue) Close() error              { return nil }
func (q queue) Addr() net.Addr            { return &net.TCPAddr{} }
