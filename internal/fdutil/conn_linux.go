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

// TryWrite writes as much of text as there is room for, and returns how much
// that is. It does not wait, and heeds no deadline.
func TryWrite(nc net.Conn, text string) (n int) {
	Control(nc, func(fd int) {
		n, _ = unix.SendmsgN(fd, []byte(text), nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	})
	return max(n, 0)
}

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

// Lingers reports whether the program has close(2) wait until the other end of
// a TCP connection has what was written (SO_LINGER in socket(7)). The kernel
// does that for descriptors that do not block as well (inet_release in
// af_inet.c).
func Lingers(nc net.Conn) bool {
	lingers := false
	Control(nc, func(fd int) {
		l, err := unix.GetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER)
		lingers = err == nil && l.Onoff != 0 && l.Linger > 0
	})
	return lingers
}

// StopLingering has close(2) wait no more. What was written is sent all the
// same, by the kernel alone, as when the time of a linger is over (__tcp_close
// in tcp.c). A linger of no time, by which close(2) resets the connection, is
// left as it is.
func StopLingering(nc net.Conn) {
	if Lingers(nc) {
		Control(nc, func(fd int) { _ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{}) })
	}
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
// be read. A FIN counts as a byte that has arrived.
func TakenFrom(fd int) (n uint64, known bool) {
	info, waiting, known := countsOf(fd, unix.SIOCINQ, func(info *unix.TCPInfo) uint64 { return info.Bytes_received })
	if !known {
		return 0, false
	}
	n = info.Bytes_received - waiting
	if info.State == tcpCloseWait {
		n--
	}
	return n, true
}

// WrittenTo returns how many bytes have been written to a connection that was
// accepted, by whatever process. It is known where TakenFrom is.
//
// The kernel counts what the other end has acknowledged, and what it has not,
// which was sent or waits to be sent: write_seq less snd_una, in tcp_ioctl of
// net/ipv4/tcp.c. There is no other count. That of what was sent
// (tcpi_bytes_sent) has twice what was sent twice, and nothing of what waits.
// That of what was acknowledged has the SYN as well where the connection was
// made from here.
func WrittenTo(fd int) (n uint64, known bool) {
	info, waiting, known := countsOf(fd, unix.SIOCOUTQ, func(info *unix.TCPInfo) uint64 { return info.Bytes_acked })
	if !known {
		return 0, false
	}
	return info.Bytes_acked + waiting, true
}

// countsOf asks the kernel about a connection, and how much waits in one of its
// directions, which request says. Bytes may pass between the two questions, so
// the first is asked again until the count of that direction is the same.
func countsOf(fd int, request uint, count func(*unix.TCPInfo) uint64) (info *unix.TCPInfo, waiting uint64, known bool) {
	if !IsTCP(fd) {
		return nil, 0, false
	}
	const attempts = 100 // of a client that sends all the time
	for range attempts {
		before, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || before.State != tcpEstablished && before.State != tcpCloseWait {
			return nil, 0, false
		}
		n, err := unix.IoctlGetInt(fd, request)
		if err != nil {
			return nil, 0, false
		}
		if request == unix.SIOCINQ && n == 0 && before.State == tcpEstablished { // so nothing waited before, and nothing has come since
			return before, 0, true
		}
		after, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil && after.State == before.State && count(after) == count(before) {
			return before, uint64(n), true
		}
	}
	return nil, 0, false
}

// ShutDown ends a connection in every process that has it (shutdown(2)). What
// was written is still sent.
func ShutDown(nc net.Conn) {
	Control(nc, func(fd int) { _ = unix.Shutdown(fd, unix.SHUT_RDWR) })
}
