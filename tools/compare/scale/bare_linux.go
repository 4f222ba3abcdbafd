package scale

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// What may be on the way to the bare server: as many connections in a message,
// and as many messages without an answer, as heirloom has.
const (
	bareBatch          = 250
	bareUnacknowledged = 2
)

// bareRound measures what nobody can do without: a program of net/http, which
// knows nothing of heirloom, is sent n descriptors of a connection and serves
// them. It has started by then.
func bareRound(program string, n int) (r Round, err error) {
	client, server, err := connection()
	if err != nil {
		return r, err
	}
	defer func() { _ = client.Close() }()
	defer func() { _ = server.Close() }()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return r, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "socketpair")
	defer func() { _ = unix.Close(pair[0]) }()
	cmd := exec.Command(program, "bare")
	cmd.ExtraFiles, cmd.Stderr = []*os.File{theirs}, os.Stderr
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return r, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	if _, err := ask(pair[0]); err != nil { // it runs
		return r, err
	}
	before, err := CPUTime(cmd.Process.Pid)
	if err != nil {
		return r, err
	}
	began := time.Now()
	if err := sendAll(pair[0], server, n); err != nil {
		return r, err
	}
	r.Owned = time.Since(began)
	r.Moving = r.Owned
	after, err := CPUTime(cmd.Process.Pid)
	r.New = Cost{after - before, memoryOf(cmd.Process.Pid, "VmHWM")}
	r.Both = r.New.Memory
	return r, err
}

func connection() (client, server *net.TCPConn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = l.Close() }()
	one, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	other, err := l.Accept()
	if err != nil {
		return nil, nil, errors.Join(err, one.Close())
	}
	return one.(*net.TCPConn), other.(*net.TCPConn), nil
}

// sendAll sends n duplicates of a connection, and returns when they are served.
func sendAll(socket int, c *net.TCPConn, n int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = raw.Control(func(fd uintptr) { sendErr = sendDuplicates(socket, int(fd), n) })
	return errors.Join(err, sendErr)
}

func sendDuplicates(socket, fd, n int) error {
	unanswered := 0
	for sent := 0; sent < n; {
		batch := make([]int, min(bareBatch, n-sent))
		for i := range batch {
			batch[i] = fd
		}
		if err := send(socket, batch); err != nil {
			return err
		}
		sent += len(batch)
		if unanswered++; unanswered == bareUnacknowledged {
			if _, err := answer(socket); err != nil {
				return err
			}
			unanswered--
		}
	}
	for range unanswered {
		if _, err := answer(socket); err != nil {
			return err
		}
	}
	for {
		served, err := ask(socket)
		if err != nil || served == n {
			return err
		}
		time.Sleep(lookTime)
	}
}

// ask returns how many connections the server serves.
func ask(socket int) (served int, err error) {
	if err := send(socket, nil); err != nil {
		return 0, err
	}
	return answer(socket)
}

func send(socket int, fds []int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	return os.NewSyscallError("sendmsg", unix.Sendmsg(socket, []byte{0}, oob, nil, 0))
}

func answer(socket int) (served int, err error) {
	text := make([]byte, 4)
	n, err := unix.Read(socket, text)
	switch {
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n != len(text):
		return 0, errors.New("the bare server has ended")
	}
	return int(binary.NativeEndian.Uint32(text)), nil
}
