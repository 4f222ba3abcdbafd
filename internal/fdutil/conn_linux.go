package fdutil

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Peek copies to p what the kernel holds of a connection and nobody has read.
// It returns how much that is, 0 where it cannot be known.
func Peek(nc net.Conn, p []byte) int {
	n := 0
	Control(nc, func(fd int) {
		n, _, _ = unix.Recvfrom(fd, p, unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return max(n, 0)
}

// HasUnread reports whether the kernel holds bytes of a connection that nobody
// has read. Where it cannot be known, there are none.
func HasUnread(nc net.Conn) bool { return Peek(nc, make([]byte, 1)) > 0 }

// SendStalled reports whether the other end does not read what was written: for
// so long the kernel could send nothing of it, or has heard nothing of the
// other end. A Unix socket has no such clock: there it is enough that its
// buffer is full now. Where it cannot be known, the other end reads.
func SendStalled(nc net.Conn, silence time.Duration) bool {
	stalled := false
	Control(nc, func(fd int) {
		queued, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		if err != nil || queued == 0 {
			return
		}
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			stalled = int64(max(info.Last_data_sent, info.Last_ack_recv)) >= silence.Milliseconds()
			return
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
		stalled = err == nil && n == 0
	})
	return stalled
}

// LastData returns how long ago the last data of a TCP connection came, and
// when the last went; known is false for other connections. One on which
// nothing has come counts from when it was made.
func LastData(nc net.Conn) (received, sent time.Duration, known bool) {
	Control(nc, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		received = time.Duration(info.Last_data_recv) * time.Millisecond
		sent = time.Duration(info.Last_data_sent) * time.Millisecond
		known = true
	})
	return received, sent, known
}

// Taken returns how many bytes of a connection have been read since it was
// made, by whatever process, as the kernel counts them. See TakenFrom.
func Taken(nc net.Conn) (n uint64, known bool) {
	Control(nc, func(fd int) { n, known = TakenFrom(fd) })
	return n, known
}

// The states of a connection of TCP of which neither end was closed here
// (include/net/tcp_states.h in the kernel).
const (
	tcpEstablished = 1
	tcpCloseWait   = 8 // the client has sent a FIN
)

// IsTCP reports whether fd is a socket of TCP, and not of Multipath TCP, whose
// counts are those of its first path alone.
func IsTCP(fd int) bool {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && protocol == unix.IPPROTO_TCP
}

// TakenFrom is Taken for a descriptor. It is not known of what is not a
// connection of TCP, or was closed here for writing.
//
// The kernel counts what has arrived (tcp(7), TCP_INFO) and what of it waits to
// be read. Bytes may arrive between the two questions, so the first is asked
// again. A FIN counts as a byte that has arrived.
func TakenFrom(fd int) (n uint64, known bool) {
	if !IsTCP(fd) {
		return 0, false
	}
	const attempts = 100 // of a client that sends all the time
	for range attempts {
		before, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || before.State != tcpEstablished && before.State != tcpCloseWait {
			return 0, false
		}
		waiting, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
		if err != nil {
			return 0, false
		}
		if waiting == 0 && before.State == tcpEstablished { // so nothing waited before, and nothing has come since
			return before.Bytes_received, true
		}
		after, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || after.State != before.State || after.Bytes_received != before.Bytes_received {
			continue
		}
		n = before.Bytes_received - uint64(waiting)
		if before.State == tcpCloseWait {
			n--
		}
		return n, true
	}
	return 0, false
}

// ShutDown ends a connection in every process that has it (shutdown(2)). What
// was written is still sent.
func ShutDown(nc net.Conn) {
	Control(nc, func(fd int) { _ = unix.Shutdown(fd, unix.SHUT_RDWR) })
}
