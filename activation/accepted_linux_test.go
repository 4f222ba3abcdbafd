package activation_test

import (
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/rig/freeport"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

func init() {
	roles["unnamedConnection"] = unnamedConnection
}

// managedAcceptNamed has names for the connections of Accept=yes, which systemd
// 252 does not use, beside an OpenFile= that is a connection, too.
func managedAcceptNamed(m *manager) {
	m.unit("log.socket", "[Socket]", "ListenStream=/run/log.sock")
	m.service("log", "managed", "")
	m.unit("acceptname.socket", "[Socket]", "ListenStream=127.0.0.1:8012", "ListenStream=/run/acceptname",
		"ListenSequentialPacket=/run/acceptname-packet", "Accept=yes", "FileDescriptorName=imap")
	m.service("acceptname@", "acceptedByAnyName", "", "Type=oneshot", "OpenFile=/run/log.sock:log")
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", "start", "log.socket", "acceptname.socket")
	for _, where := range [][2]string{{"tcp", "127.0.0.1:8012"}, {"unix", "/run/acceptname"}, {"unixpacket", "/run/acceptname-packet"}} {
		conn := m.dial(where[0], where[1])
		ask(m.t, conn)
		m.instancesEndedWell("acceptname@*.service")
		want := "connection"
		if m.version >= 257 {
			want = "imap"
		}
		m.equal("name", strings.Fields(m.printed("acceptname"))[0], `"`+want+`"`)
	}
	m.MustRun("systemctl", "stop", "log.socket", "log.service", "acceptname.socket")
}

// managedSocketActivate has each version's systemd-socket-activate accept. It
// calls a connection as it would a listener: nothing, or by --fdname=.
func managedSocketActivate(m *manager) {
	for port, called := range map[string]string{"8013": "unknown", "8014": "imap"} {
		option := ""
		if called != "unknown" {
			option = " --fdname=" + called
		}
		name := "activate" + port + ".service"
		address := "127.0.0.1:" + port
		m.unit(name, "[Service]", "Type=exec", "ExecStart=/usr/bin/systemd-socket-activate --accept -l "+address+option+
			" -E "+roleVar+"=acceptedByAnyName -E GORACE=atexit_sleep_ms=0 /usr/bin/daemon",
			"StandardOutput=truncate:/run/activate"+port+".out")
		m.MustRun("systemctl", "daemon-reload")
		m.start(name)
		m.Wait("the listener of "+name, func() bool {
			conn, err := m.Dial(m.t.Context(), "tcp", address)
			if err == nil {
				ask(m.t, conn)
			}
			return err == nil
		})
		m.MustRun("systemctl", "stop", name)
		if printed := m.printed("activate" + port); !strings.Contains(printed, "\n\""+called+"\" (fd 0, tcp connection from ") {
			m.t.Errorf("the table of a connection accepted with%q:\n%s", option, printed)
		}
	}
}

// acceptedByAnyName prints the table and serves the connection it was started
// for.
func acceptedByAnyName(c *child) {
	table := c.inherit()
	c.printTable(table)
	conn, err := table.Connection()
	c.must(err)
	c.echo(conn)
	c.done(table, len(table.Files()))
}

// unnamedConnection is told what Connection must answer: an error's kind, or
// the local address of the connection.
func unnamedConnection(c *child) {
	table := c.inherit()
	conn, err := table.Connection()
	switch c.args[0] {
	case "not exist":
		c.fails("none", err, fs.ErrNotExist)
	case "wrong type":
		c.fails("no connection", err, activation.ErrWrongType, "connection")
	case "ambiguous":
		c.fails("several", err, activation.ErrAmbiguous, `"a"`, `"b"`)
		for _, f := range table.Files() {
			c.equal("claimed", f.Claimed, false)
		}
	default:
		c.must(err)
		c.equal("address", conn.LocalAddr(), c.args[0])
		c.must(conn.Close())
		_, err = table.Connection()
		c.fails("again", err, activation.ErrClaimed)
	}
	c.done(table, len(table.Files()))
}

func TestConnectionOfAnyName(t *testing.T) {
	leakcheck.Check(t)
	server, _ := accepted(t)
	second, _ := accepted(t)
	gone, other := accepted(t)
	reset(t, other)
	ln := listen(t, "tcp", "127.0.0.1:0")
	path := t.TempDir() + "/s"
	unixListener := listen(t, "unix", path)
	toOpenFile, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer toOpenFile.Close()
	overUnix, err := unixListener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer overUnix.Close()
	pair, _ := socketpair(t, unix.SOCK_STREAM)
	address := server.LocalAddr().String()
	for name, test := range map[string]struct {
		names []string
		files []*os.File
		want  string
	}{
		"by FileDescriptorName=":  {[]string{"imap"}, []*os.File{dup(t, server)}, address},
		"no names given":          {nil, []*os.File{dup(t, server)}, address},
		"over a Unix socket":      {[]string{"imap"}, []*os.File{dup(t, overUnix)}, path},
		"gone":                    {[]string{"imap"}, []*os.File{dup(t, gone)}, gone.LocalAddr().String()},
		"beside OpenFile=":        {[]string{"imap", "log"}, []*os.File{dup(t, server), dup(t, toOpenFile)}, address},
		"beside what was stored":  {[]string{"imap", "stored"}, []*os.File{dup(t, server), pair}, address},
		"only OpenFile=":          {[]string{"log"}, []*os.File{dup(t, toOpenFile)}, "not exist"},
		"only a pair":             {[]string{"pair"}, []*os.File{pair}, "not exist"},
		"of a service's own":      {[]string{"web", "client"}, []*os.File{dup(t, ln), dup(t, server)}, "not exist"},
		"two":                     {[]string{"a", "b"}, []*os.File{dup(t, server), dup(t, second)}, "ambiguous"},
		"two, one by its name":    {[]string{"a", "connection"}, []*os.File{dup(t, second), dup(t, server)}, address},
		"another thing so called": {[]string{"connection", "a"}, []*os.File{dup(t, listenPacket(t, "udp", "127.0.0.1:0")), dup(t, server)}, "wrong type"},
	} {
		t.Run(name, func(t *testing.T) {
			env := named(test.names...)
			if test.names == nil {
				env = map[string]string{"LISTEN_FDS": "1", "LISTEN_PID": self}
			}
			start{role: "unnamedConnection", args: []string{test.want}, env: env, files: test.files}.run(t)
		})
	}
}

// TestSystemdAcceptNames has systemd-socket-activate give the connection a name
// of the user's, and none.
func TestSystemdAcceptNames(t *testing.T) {
	leakcheck.Check(t)
	for name, options := range map[string][]string{"named": {"--fdname=imap"}, "unnamed": nil} {
		t.Run(name, func(t *testing.T) {
			tcp := freeport.Address(t, "tcp")
			socketActivate(t, "accepted", nil, append([]string{"--accept", "-l", tcp}, options...)...)
			conn, err := net.Dial("tcp", tcp)
			if err != nil {
				t.Fatal(err)
			}
			told := make([]byte, len(conn.LocalAddr().String()))
			if n, err := conn.Read(told); err != nil || string(told[:n]) != conn.LocalAddr().String() {
				t.Errorf("the service sees %q, %v, want %s", told[:n], err, conn.LocalAddr())
			}
			ask(t, conn)
		})
	}
}
