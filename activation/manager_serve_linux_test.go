package activation_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// managed prints its table, claims and uses every file in it, and answers on
// the sockets until SIGTERM. It then closes what it claimed while its
// goroutines wait in Accept and Read: one that a Close does not wake makes the
// stop time out.
func managed(c *child) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	table := c.inherit()
	c.equal("ignored", table.Ignored(), nil)
	c.printTable(table)
	c.refusesWrongTypes(table)
	s := &server{child: c}
	s.claimGroup(table)
	files := table.Files()
	for i := len(files) - 1; i >= 0; i-- { // backwards, so that of two under one name the address must pick the second
		if !files[i].Claimed {
			s.claim(table, files[i])
		}
	}
	for _, f := range files {
		_, err := table.Listeners(f.Name)
		c.fails("again", err, activation.ErrClaimed, f.Name)
	}
	c.ready()
	<-stop
	s.close()
	c.done(table, len(files))
}

// server is what the role claimed, and the goroutines that use it.
type server struct {
	*child
	open    []io.Closer
	waiting sync.WaitGroup
}

func (s *server) claimGroup(table *activation.Table) {
	if !hasName(table, "group") {
		return
	}
	streams, err := table.ListenGroup("group", "tcp", ":1", 1)
	s.must(err)
	s.equal("members", len(streams), 2)
	for _, ln := range streams {
		s.serve(ln)
	}
	packets, err := table.ListenPacketGroup("group", "udp", ":1", 1)
	s.must(err)
	s.equal("packet members", len(packets), 2)
	for _, conn := range packets {
		s.servePackets(conn)
	}
}

func hasName(table *activation.Table, name string) bool {
	for _, f := range table.Files() {
		if f.Name == name {
			return true
		}
	}
	return false
}

func (s *server) claim(table *activation.Table, f activation.File) {
	switch typeOf(f) {
	case "listener":
		if f.Name == "two" && unclaimed(table, f.Name) > 1 {
			_, err := table.Listen(f.Name, f.Network, "127.0.0.1:1")
			s.fails("an address of none", err, activation.ErrAmbiguous, f.Address)
		}
		ln, err := table.Listen(f.Name, f.Network, f.Address)
		s.must(err)
		s.equal("address of "+f.Name, ln.Addr(), f.Address)
		s.serve(ln)
	case "packet":
		conn, err := table.ListenPacket(f.Name, f.Network, f.Address)
		s.must(err)
		s.equal("address of "+f.Name, conn.LocalAddr(), f.Address)
		s.servePackets(conn)
	default:
		file, err := table.OpenFile(f.Name)
		s.must(err)
		s.open = append(s.open, file)
		s.use(file, f.Network)
	}
}

func unclaimed(table *activation.Table, name string) (n int) {
	for _, f := range table.Files() {
		if f.Name == name && !f.Claimed {
			n++
		}
	}
	return n
}

func (s *server) serve(ln net.Listener) {
	s.nonblocking(ln)
	s.open = append(s.open, ln)
	s.waiting.Go(func() {
		for {
			conn, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			s.must(err)
			s.echo(conn)
		}
	})
}

func (s *server) servePackets(conn net.PacketConn) {
	s.nonblocking(conn)
	s.open = append(s.open, conn)
	s.waiting.Go(func() {
		buf := make([]byte, 100)
		for {
			n, from, err := conn.ReadFrom(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			s.must(err)
			_, err = conn.WriteTo(buf[:n], from)
			s.must(err)
		}
	})
}

// use does with a file what only its kind can do.
func (s *server) use(file *os.File, kind string) {
	buf := make([]byte, 4096)
	switch kind {
	case "fifo": // the test has written to it
		s.nonblocking(file)
		n, err := file.Read(buf)
		s.must(err)
		s.equal("text in "+file.Name(), string(buf[:n]), "hello")
		s.waiting.Go(func() {
			_, err := file.Read(buf)
			s.fails("read while it was closed", err, os.ErrClosed)
		})
	case "netlink":
		s.nonblocking(file)
		s.must(file.SetDeadline(patience.Deadline(30 * time.Second)))
		s.must(binary.Write(file, binary.NativeEndian, loopbackQuery()))
		_, err := file.Read(buf)
		s.must(err)
		s.equal("type of the answer", binary.NativeEndian.Uint16(buf[4:]), unix.RTM_NEWLINK)
	case "mqueue":
		s.nonblocking(file)
		// The text is that of mqueue_read_file in the kernel's ipc/mqueue.c.
		// Read would move the offset that systemd shares.
		n, err := file.ReadAt(buf, 0)
		s.fails("a read of more", err, io.EOF)
		s.equal("begin of "+string(buf[:n]), strings.HasPrefix(string(buf[:n]), "QSIZE:"), true)
	case "char":
		n, err := io.ReadFull(file, buf[:8])
		s.must(err)
		s.equal("bytes of "+file.Name(), n, 8)
	default:
		s.fatalf("nobody knows what to do with %s, a %s", file.Name(), kind)
	}
}

// loopbackQuery asks the kernel for the first network interface, see
// rtnetlink(7). The answer is a single message: what is left unread would start
// the service again as soon as it has stopped.
func loopbackQuery() any {
	message := struct {
		unix.NlMsghdr
		unix.IfInfomsg
	}{unix.NlMsghdr{Type: unix.RTM_GETLINK, Flags: unix.NLM_F_REQUEST}, unix.IfInfomsg{Index: 1}}
	message.Len = uint32(binary.Size(message))
	return message
}

func (s *server) close() {
	for _, one := range s.open {
		s.must(one.Close())
	}
	s.waiting.Wait()
}
