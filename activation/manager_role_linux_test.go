package activation_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/notify"
)

// managerRoles are services of a booted systemd. What they print is compared by
// the test; what they find wrong they say on standard error, and end with
// status 1, which makes a service of Type=notify fail to start.
var managerRoles = map[string]func(*child){
	"managed":           managed,
	"opened":            opened,
	"accepting":         accepting,
	"acceptedByAnyName": acceptedByAnyName,
	"addressed":         addressed,
	"remembered":        remembered,
}

func init() {
	for name, role := range managerRoles {
		roles[name] = role
	}
}

// printTable prints a line for each file: what the table says of it, and how
// systemd handed it. The descriptor's number is left out, since the order of
// socket units is that of a hash table of systemd.
func (c *child) printTable(table *activation.Table) {
	for _, f := range table.Files() {
		flags, err := unix.FcntlInt(uintptr(f.FD), unix.F_GETFL, 0)
		c.must(err)
		mode := "blocking"
		if flags&unix.O_NONBLOCK != 0 {
			mode = "non-blocking"
		}
		f.FD = 0
		fmt.Println(f, mode)
	}
}

// refusesWrongTypes asks under each name for every type that no file of that
// name has.
func (c *child) refusesWrongTypes(table *activation.Table) {
	ask := map[string]func(name string) error{
		"listener": func(name string) error { _, err := table.Listeners(name); return err },
		"packet":   func(name string) error { _, err := table.PacketConns(name); return err },
		"conn":     func(name string) error { _, err := table.Conns(name); return err },
		"file":     func(name string) error { _, err := table.OpenFile(name); return err },
	}
	has := map[string]string{}
	for _, f := range table.Files() {
		has[f.Name] += typeOf(f)
	}
	for name, types := range has {
		for kind, claim := range ask {
			if !strings.Contains(types, kind) {
				c.fails(name+" as a "+kind, claim(name), activation.ErrWrongType, name)
			}
		}
	}
}

func typeOf(f activation.File) string {
	switch {
	case f.Listening:
		return "listener"
	case f.Network == "udp" || f.Network == "unixgram":
		return "packet"
	case f.Network == "unix":
		return "conn"
	}
	return "file"
}

// ready says so to systemd and leaves nothing open.
func (c *child) ready() {
	manager := c.manager()
	c.must(manager.Notify(notify.Ready()))
	c.must(manager.Close())
}

func (c *child) manager() *notify.Notifier {
	manager, err := notify.New()
	c.must(err)
	return manager
}

// opened is started with OpenFile= of a plain file, "host", and of a listening
// Unix socket, "peer"; "absent" is one that was left out because the file is
// missing.
func opened(c *child) {
	table := c.inherit()
	c.printTable(table)
	_, err := table.Conns("absent")
	c.fails("not handed", err, fs.ErrNotExist, "absent")
	if len(table.Files()) > 0 { // since systemd 253
		c.refusesWrongTypes(table)
		c.readHost(table)
		conns, err := table.Conns("peer")
		c.must(err)
		c.equal("connections", len(conns), 1)
		c.nonblocking(conns[0])
		c.converse(conns[0], conns[0])
		c.must(conns[0].Close())
	}
	c.done(table, len(table.Files()))
}

func (c *child) readHost(table *activation.Table) {
	file, err := table.OpenFile("host")
	c.must(err)
	c.equal("name", file.Name(), "/etc/hostname")
	text, err := io.ReadAll(file)
	c.must(err)
	fmt.Print(string(text))
	_, err = file.WriteString("x")
	c.fails("write", err, syscall.EBADF, "/etc/hostname")
	c.must(file.Close())
}

// converse writes to one and reads it from the other, which for an echo
// server's connection is the same.
func (c *child) converse(to, from net.Conn) {
	c.must(from.SetDeadline(patience.Deadline(30 * time.Second)))
	_, err := to.Write([]byte("hello"))
	c.must(err)
	buf := make([]byte, 100)
	n, err := from.Read(buf)
	c.must(err)
	c.equal("what was said", string(buf[:n]), "hello")
}

// accepting serves the one connection of Accept=yes: it sends the address of
// the other end, then echoes. With the argument "gone" the other end is no
// longer there, and it prints the address.
func accepting(c *child) {
	variables := net.JoinHostPort(os.Getenv("REMOTE_ADDR"), os.Getenv("REMOTE_PORT"))
	table := c.inherit()
	c.equal("REMOTE_ADDR after Inherit", os.Getenv("REMOTE_ADDR"), "")
	c.equal("files", len(table.Files()), 1)
	c.equal("peer known to the socket", table.Files()[0].Peer != "", c.args[0] != "gone")
	conn, err := table.Connection()
	c.must(err)
	c.nonblocking(conn)
	c.equal("remote address", conn.RemoteAddr(), variables)
	if c.args[0] == "gone" {
		fmt.Println(conn.RemoteAddr())
		c.must(conn.Close())
	} else {
		_, err = fmt.Fprint(conn, conn.RemoteAddr())
		c.must(err)
		c.echo(conn)
	}
	c.done(table, 1)
}

// addressed prints whether systemd named this process by its pidfd too, and
// whether the table believes it.
func addressed(c *child) {
	_, marked := os.LookupEnv("LISTEN_PIDFDID")
	table := c.inherit()
	fmt.Println("LISTEN_PIDFDID", marked)
	c.printTable(table)
	if err := table.Ignored(); err != nil {
		fmt.Println(strings.Fields(err.Error())[1][:len("LISTEN_PIDFDID")], "not believed")
	}
	c.must(table.Close())
}

// remembered uses the descriptor store: a process that finds nothing in its
// table puts three kinds of file there, the next one uses them and has them
// removed again.
func remembered(c *child) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	table := c.inherit()
	c.printTable(table)
	manager := c.manager()
	ln, err := table.Listen("kept", "tcp", "127.0.0.1:8020")
	c.must(err)
	s := &server{child: c}
	s.serve(ln)
	if len(table.Files()) == 0 {
		c.store(manager, ln)
	} else {
		c.useStored(table)
		for _, name := range []string{"kept", "pair", "note"} {
			c.must(manager.Notify(notify.FDStoreRemove(name)))
		}
	}
	c.must(manager.Notify(notify.Ready()))
	c.must(manager.Close())
	<-stop
	s.close()
	c.done(table, len(table.Files()))
}

// store keeps nothing of its own but the listener: the other files live on in
// systemd only.
func (c *child) store(manager *notify.Notifier, ln net.Listener) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	c.must(err)
	note, err := unix.MemfdCreate("note", unix.MFD_CLOEXEC)
	c.must(err)
	_, err = unix.Pwrite(note, []byte("remember me"), 0)
	c.must(err)
	c.must(manager.Notify(notify.FDStoreConn("kept", ln.(syscall.Conn))))
	c.must(manager.Notify(notify.FDStore("pair", pair[0], pair[1])))
	c.must(manager.Notify(notify.FDStore("note", note)))
	for _, fd := range []int{pair[0], pair[1], note} {
		c.must(unix.Close(fd))
	}
}

func (c *child) useStored(table *activation.Table) {
	conns, err := table.Conns("pair")
	c.must(err)
	c.equal("connections", len(conns), 2)
	c.converse(conns[0], conns[1])
	c.converse(conns[1], conns[0])
	note, err := table.OpenFile("note")
	c.must(err)
	text, err := io.ReadAll(note)
	c.must(err)
	c.equal("note", string(text), "remember me")
	c.must(errors.Join(conns[0].Close(), conns[1].Close(), note.Close()))
}
