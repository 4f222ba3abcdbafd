//go:build linux

package activation_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

func init() {
	roles["choose"] = choose
	roles["closed"] = closed
	roles["group"] = group
	roles["race"] = race
	roles["limited"] = limited
	roles["misnamed"] = misnamed
}

func (c *child) fails(what string, err, want error, says ...string) {
	if !errors.Is(err, want) {
		c.fatalf("%s: got %v, want one matching %v", what, err, want)
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			c.fatalf("%s: %q does not say %q", what, err, text)
		}
	}
}

// choose is handed one:tcp, two:tcp, two:tcp, mixed:tcp, mixed:udp.
func choose(c *child) {
	table := c.inherit()
	one, first, second, mixed := c.args[0], c.args[1], c.args[2], c.args[3]
	_, err := table.Listen("one", "tcp6", one)
	c.fails("tcp6 on an IPv4 socket", err, activation.ErrWrongType, `"one"`, "fd 3", "tcp listener", one, "not a tcp6 listener")
	_, err = table.Listen("one", "unix", "/x")
	c.fails("unix", err, activation.ErrWrongType)
	_, err = table.ListenPacket("one", "udp", one)
	c.fails("packets", err, activation.ErrWrongType)
	_, err = table.OpenFile("one")
	c.fails("file", err, activation.ErrWrongType)
	_, err = table.Conns("one")
	c.fails("connection", err, activation.ErrWrongType)
	_, err = table.Conns("mixed")
	c.fails("an unconnected datagram socket as a connection", err, activation.ErrWrongType)
	_, err = table.Listen("one", "tpc", one)
	var unknown net.UnknownNetworkError
	c.equal("unknown network", errors.As(err, &unknown), true)

	c.takes(table, "one", "tcp4", "127.0.0.1:1", one)
	_, err = table.Listen("one", "tcp", one)
	c.fails("again", err, activation.ErrClaimed)

	_, err = table.Listen("two", "tcp", "127.0.0.1:1")
	c.fails("neither", err, activation.ErrAmbiguous, first, second)
	_, err = table.Listen("two", "tcp", "127.0.0.1:no-such-service")
	c.equal("bad address", err != nil, true)
	c.takes(table, "two", "tcp", second, second)
	c.takes(table, "two", "tcp", "127.0.0.1:1", first)

	conn, err := table.ListenPacket("mixed", "udp4", "127.0.0.1:1")
	c.must(err)
	c.must(conn.Close())
	c.takes(table, "mixed", "tcp", "127.0.0.1:1", mixed)
	c.done(table, 5)
}

func (c *child) takes(table *activation.Table, name, network, address, want string) {
	ln, err := table.Listen(name, network, address)
	c.must(err)
	c.equal("address of "+name, ln.Addr(), want)
	_, concrete := ln.(*net.TCPListener)
	c.equal("type", concrete, true)
	c.must(ln.Close())
}

func TestListenChooses(t *testing.T) {
	leakcheck.Check(t)
	var files []*os.File
	var addresses []string
	for range 4 {
		ln := listen(t, "tcp", "127.0.0.1:0")
		files, addresses = append(files, dup(t, ln)), append(addresses, ln.Addr().String())
	}
	files = append(files, dup(t, listenPacket(t, "udp", "127.0.0.1:0")))
	start{role: "choose", args: addresses, env: named("one", "two", "two", "mixed", "mixed"), files: files}.run(t)
}

func TestPickByAddress(t *testing.T) {
	for name, test := range map[string]struct {
		network, address, want string
		bound                  []string
	}{
		"exact":                  {"tcp", "127.0.0.1:80", "127.0.0.1:80", []string{"[::]:80", "127.0.0.1:80"}},
		"no host":                {"tcp", ":80", "[::]:80", []string{"127.0.0.1:80", "[::]:80"}},
		"any, as Go binds it":    {"tcp", "0.0.0.0:80", "[::]:80", []string{"[::]:81", "[::]:80"}},
		"any, version 4":         {"tcp4", "0.0.0.0:80", "0.0.0.0:80", []string{"[::]:80", "0.0.0.0:80"}},
		"both any":               {"tcp", ":80", "", []string{"[::]:80", "0.0.0.0:80"}},
		"both any, one named":    {"tcp", "0.0.0.0:80", "0.0.0.0:80", []string{"[::]:80", "0.0.0.0:80"}},
		"a group":                {"tcp", ":80", "[::]:80", []string{"[::]:80", "[::]:80"}},
		"a service name":         {"tcp", ":http", "[::]:80", []string{"[::]:80", "[::]:443"}},
		"mapped":                 {"tcp", "127.0.0.1:80", "[::ffff:127.0.0.1]:80", []string{"[::ffff:127.0.0.1]:80", "[::]:80"}},
		"zone":                   {"tcp", "[fe80::1%lo]:80", "[fe80::1%lo]:80", []string{"[fe80::1%eth0]:80", "[fe80::1%lo]:80"}},
		"port 0":                 {"tcp", "127.0.0.1:0", "", []string{"127.0.0.1:80", "127.0.0.1:81"}},
		"udp":                    {"udp", "127.0.0.1:53", "127.0.0.1:53", []string{"127.0.0.2:53", "127.0.0.1:53"}},
		"ip":                     {"ip4:icmp", "127.0.0.2", "127.0.0.2", []string{"127.0.0.1", "127.0.0.2"}},
		"path":                   {"unix", "/run/x/../b", "/run/b", []string{"/run/a", "/run/b"}},
		"abstract":               {"unix", "@b", "@b", []string{"/b", "@b"}},
		"abstract is no path":    {"unix", "@a/../b", "", []string{"@b", "@c"}},
		"vsock":                  {"vsock", ":5", ":5", []string{"3:5", ":5"}},
		"a single one, whatever": {"tcp", "nonsense", "[::]:80", []string{"[::]:80"}},
	} {
		got, err := activation.PickAddress(test.bound, test.network, test.address)
		if got != test.want || (test.want == "") != errors.Is(err, activation.ErrAmbiguous) {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, test.want)
		}
	}
}

// closed claims nothing before Close.
func closed(c *child) {
	table := c.inherit()
	claimed, err := table.Listen("claimed", "tcp", "")
	c.must(err)
	c.must(table.Close())
	_, err = table.Listen("web", "tcp", "127.0.0.1:0")
	c.fails("listen", err, os.ErrClosed)
	_, err = table.Listeners("web")
	c.fails("listeners", err, os.ErrClosed)
	_, err = table.OpenFile("web")
	c.fails("file", err, os.ErrClosed)
	_, err = table.Listen("claimed", "tcp", "127.0.0.1:0")
	c.fails("claimed before", err, activation.ErrClaimed)
	ln, err := table.Listen("never handed", "tcp", "127.0.0.1:0")
	c.must(err)
	c.must(ln.Close())
	c.equal("claimed one still listens", claimed.Addr(), c.args[0])
	c.must(claimed.Close())
	c.done(table, 3)
}

func TestCloseClosesUnclaimed(t *testing.T) {
	leakcheck.Check(t)
	ln := listen(t, "tcp", "127.0.0.1:0")
	files := []*os.File{dup(t, listen(t, "tcp", "127.0.0.1:0")), dup(t, ln), openPath(t, "/dev/null")}
	start{role: "closed", args: []string{ln.Addr().String()}, env: named("web", "claimed", "x"), files: files}.run(t)
}

// group is handed two members of a group, more than it asks for.
func group(c *child) {
	table := c.inherit()
	_, err := table.ListenGroup("web", "unix", "/x", 2)
	var unknown net.UnknownNetworkError
	c.equal("unix", errors.As(err, &unknown), true)
	_, err = table.ListenPacketGroup("web", "udp", ":0", 2)
	c.fails("packets", err, activation.ErrWrongType)
	members, err := table.ListenGroup("web", "tcp", "127.0.0.1:1", 1)
	c.must(err)
	c.equal("members", len(members), 2)
	for _, member := range members {
		c.equal("address", member.Addr(), c.args[0])
		c.must(member.Close())
	}
	packets, err := table.PacketConns("dns")
	c.must(err)
	c.equal("packet sockets", len(packets), 1)
	c.must(packets[0].Close())
	listeners, err := table.Listeners("dns")
	c.must(err)
	c.equal("listeners", len(listeners), 1)
	c.must(listeners[0].Close())
	c.done(table, 4)
}

func TestListenGroup(t *testing.T) {
	leakcheck.Check(t)
	var table activation.Table
	members, err := table.ListenGroup("web", "tcp", "127.0.0.1:0", 2)
	if err != nil || len(members) != 2 {
		t.Fatal(members, err)
	}
	var files []*os.File
	for _, member := range members {
		defer member.Close()
		if member.Addr().String() != members[0].Addr().String() {
			t.Errorf("members at %s and %s", members[0].Addr(), member.Addr())
		}
		files = append(files, dup(t, member))
	}
	files = append(files, dup(t, listen(t, "tcp", "127.0.0.1:0")), dup(t, listenPacket(t, "udp", "127.0.0.1:0")))
	start{role: "group", args: []string{members[0].Addr().String()}, env: named("web", "web", "dns", "dns"), files: files}.run(t)

	conns, err := table.ListenPacketGroup("dns", "udp", "127.0.0.1:0", 3)
	if err != nil || len(conns) != 3 {
		t.Fatal(conns, err)
	}
	for _, conn := range conns {
		conn.Close()
	}
	if _, err := table.ListenGroup("web", "tcp", ":0", 0); !errors.Is(err, activation.ErrMalformed) {
		t.Errorf("a group of none: %v", err)
	}
	taken := listen(t, "tcp", "127.0.0.1:0")
	if group, err := table.ListenGroup("web", "tcp", taken.Addr().String(), 2); group != nil || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a group where somebody else listens: %v", err)
	}
}

// limited runs out of descriptors while it binds a group: what was bound until
// then is closed again.
func limited(c *child) {
	table := c.inherit()
	var before unix.Rlimit
	c.must(unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	c.must(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 20, Max: before.Max}))
	_, err := table.ListenGroup("web", "tcp", "127.0.0.1:0", 20)
	c.fails("listeners", err, syscall.EMFILE)
	_, err = table.ListenPacketGroup("dns", "udp", "127.0.0.1:0", 20)
	c.fails("packet sockets", err, syscall.EMFILE)
	c.must(unix.Setrlimit(unix.RLIMIT_NOFILE, &before))
	c.done(table, 0)
}

func TestListenGroupGivesBack(t *testing.T) {
	leakcheck.Check(t)
	start{role: "limited"}.run(t)
}

// race claims from several goroutines: each file leaves the table once.
func race(c *child) {
	table := c.inherit()
	var claimed atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if file, err := table.OpenFile("x"); err == nil {
				claimed.Add(1)
				file.Close()
			}
			table.Files()
			table.Predecessor()
		})
	}
	wg.Wait()
	c.equal("claims", claimed.Load(), 3)
	c.done(table, 3)
}

func TestClaimsFromGoroutines(t *testing.T) {
	leakcheck.Check(t)
	files := []*os.File{openPath(t, "/dev/null"), openPath(t, "/dev/null"), openPath(t, "/dev/null")}
	start{role: "race", env: named("x", "x", "x"), files: files}.run(t)
}

// misnamed is handed "hello.socket" and "unknown", listeners at these
// addresses, and a datagram socket "dns". It asks for them by other names.
func misnamed(c *child) {
	table := c.inherit()
	all := `only "hello.socket" (fd 3, tcp listener, ` + c.args[0] + `), "unknown" (fd 4, tcp listener, ` + c.args[1] + `), "dns" (fd 5`
	_, err := table.Listen("web", "tcp", c.args[0])
	c.fails("default name", err, syscall.EADDRINUSE, `"web"`, all, `"hello.socket" has this address: name it by FileDescriptorName=web in hello.socket`)
	_, err = table.Listen("web", "tcp", c.args[1])
	c.fails("no name", err, syscall.EADDRINUSE, all, `"unknown" has this address: name it by --fdname=web of systemd-socket-activate`)
	_, err = table.ListenPacket("web", "udp", c.args[2])
	c.fails("datagrams", err, syscall.EADDRINUSE, all, `"dns" has this address: name it by FileDescriptorName=web in its socket unit`)
	_, err = table.ListenGroup("web", "tcp", c.args[0], 2)
	c.fails("group", err, syscall.EADDRINUSE, all, "FileDescriptorName=web in hello.socket")
	_, err = table.ListenPacketGroup("web", "udp", c.args[2], 2)
	c.fails("group of datagrams", err, syscall.EADDRINUSE, all, "FileDescriptorName=web")
	_, err = table.Listen("web", "unix", "/nonexistent/socket")
	c.fails("another address", err, fs.ErrNotExist, all)
	c.equal("advice", strings.Contains(err.Error(), "has this address"), false)
	_, err = table.Listeners("web")
	c.fails("no address", err, fs.ErrNotExist, `no file named "web"`, all)
	c.equal("nil", table.Explain("web", "tcp", c.args[0], nil), nil)
	c.done(table, 3)
}

func TestMisnamed(t *testing.T) {
	leakcheck.Check(t)
	one, two := listen(t, "tcp", "127.0.0.1:0"), listen(t, "tcp", "127.0.0.1:0")
	dns := listenPacket(t, "udp", "127.0.0.1:0")
	start{role: "misnamed", args: []string{one.Addr().String(), two.Addr().String(), dns.LocalAddr().String()},
		env: named("hello.socket", "unknown", "dns"), files: []*os.File{dup(t, one), dup(t, two), dup(t, dns)}}.run(t)
}
