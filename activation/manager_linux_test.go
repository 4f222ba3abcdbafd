package activation_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestManagers runs the roles of managerRoles as services of each systemd. One
// machine serves all cases of a version.
func TestManagers(t *testing.T) {
	leakcheck.Check(t)
	for role := range managerRoles {
		used[role] = true
	}
	cases := []struct {
		name string
		run  func(*manager)
	}{
		{"kinds", managedKinds},
		{"special", managedSpecial},
		{"open-file", managedOpenFile},
		{"accept", managedAccept},
		{"accept-gone", managedAcceptGone},
		{"accept-named", managedAcceptNamed},
		{"socket-activate", managedSocketActivate},
		{"addressee", managedAddressee},
		{"store", managedStore},
	}
	for _, v := range sdtest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			machine := sdtest.Boot(t, v)
			machine.Install(os.Args[0], "/usr/bin/daemon")
			for _, test := range cases {
				t.Run(test.name, func(t *testing.T) { test.run(&manager{machine.For(t), t, v}) })
			}
		})
	}
}

// manager is a booted systemd.
type manager struct {
	*sdtest.Machine
	t       *testing.T
	version sdtest.Version
}

// service writes a service of that role. Its standard output goes to a file
// that printed reads.
func (m *manager) service(name, role, arg string, lines ...string) {
	m.unit(name+".service", append([]string{
		"[Service]",
		"Type=notify",
		"ExecStart=/usr/bin/daemon",
		"Environment=GORACE=atexit_sleep_ms=0 " + roleVar + "=" + role + " " + argsVar + "=" + arg,
		"StandardOutput=truncate:/run/" + strings.TrimSuffix(name, "@") + ".out",
		"StandardError=journal",
		"TimeoutStartSec=5min",
		"TimeoutStopSec=5min",
	}, lines...)...)
}

func (m *manager) unit(name string, lines ...string) {
	m.WriteFile("/etc/systemd/system/"+name, strings.Join(lines, "\n")+"\n", 0o644)
}

func (m *manager) printed(name string) string {
	m.t.Helper()
	text, err := os.ReadFile(m.Root() + "/run/" + name + ".out")
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// start starts services, or waits for those which a socket unit is starting.
// Type=notify and oneshot make a role that finds fault fail here.
func (m *manager) start(services ...string) {
	m.t.Helper()
	if out, err := m.Run("systemctl", append([]string{"start"}, services...)...); err != nil {
		m.t.Fatalf("%v\n%s%s", err, out, m.Journal("-o", "cat", "_COMM=daemon"))
	}
}

// stop stops a service and fails the test if its process did not end well and
// in time.
func (m *manager) stop(service string) {
	m.t.Helper()
	m.MustRun("systemctl", "stop", service)
	m.endedWell(service)
}

func (m *manager) endedWell(service string) {
	m.t.Helper()
	if result := m.Property(service, "Result"); result != "success" {
		m.t.Errorf("%s: Result=%s\n%s", service, result, m.Journal("-u", service))
	}
}

func (m *manager) dial(network, address string) net.Conn {
	m.t.Helper()
	conn, err := m.Dial(m.t.Context(), network, address)
	if err != nil {
		m.t.Fatal(err)
	}
	return conn
}

func (m *manager) equal(what, got, want string) {
	m.t.Helper()
	if got != want {
		m.t.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
	}
}

// A handedSocket is a socket unit and what the table must say of its files.
type handedSocket struct {
	name  string // of its files, which the lines may set
	lines string
	want  []string // in the order of the lines
}

// handedKinds has every kind of socket unit but ListenSpecial=, for which see
// managedSpecial.
func handedKinds(vsock string) []handedSocket {
	return []handedSocket{
		{"two", "ListenStream=127.0.0.1:8001\nListenStream=127.0.0.1:8002",
			[]string{"tcp listener, 127.0.0.1:8001", "tcp listener, 127.0.0.1:8002"}},
		{"any", "ListenStream=8003", []string{"tcp listener, [::]:8003"}},
		{"path", "ListenStream=/run/kinds/stream", []string{"unix listener, /run/kinds/stream"}},
		{"abstract", "ListenStream=@kinds", []string{"unix listener, @kinds"}},
		{"dns", "ListenDatagram=127.0.0.1:8053\nListenStream=127.0.0.1:8053",
			[]string{"udp socket, 127.0.0.1:8053", "tcp listener, 127.0.0.1:8053"}},
		{"gram", "ListenDatagram=/run/kinds/gram", []string{"unixgram socket, /run/kinds/gram"}},
		{"packet", "ListenSequentialPacket=/run/kinds/packet", []string{"unixpacket listener, /run/kinds/packet"}},
		{"fifo", "ListenFIFO=/run/kinds/fifo", []string{"fifo, /run/kinds/fifo"}},
		{"route", "ListenNetlink=route", []string{"netlink socket, no address"}},
		{"queue", "ListenMessageQueue=/kinds", []string{"mqueue, /kinds"}},
		{"vsock", "ListenStream=vsock:" + vsock, []string{"vsock listener, " + vsock}},
		{"group", "ReusePort=yes\nListenStream=127.0.0.1:8004\nListenStream=127.0.0.1:8004\n" +
			"ListenDatagram=127.0.0.1:8004\nListenDatagram=127.0.0.1:8004",
			[]string{"tcp listener, 127.0.0.1:8004", "tcp listener, 127.0.0.1:8004",
				"udp socket, 127.0.0.1:8004", "udp socket, 127.0.0.1:8004"}},
		{"kinds-unnamed.socket", "FileDescriptorName=\nListenStream=/run/kinds/unnamed", []string{"unix listener, /run/kinds/unnamed"}},
	}
}

// managedKinds starts one service with all kinds of sockets, twice: the second
// process gets the same sockets again, which the first one closed before it
// ended.
func managedKinds(m *manager) {
	sockets := handedKinds(freeVsock(m.t))
	names := []string{}
	for _, s := range sockets {
		name := "kinds-" + strings.TrimPrefix(s.name, "kinds-")
		name = strings.TrimSuffix(name, ".socket") + ".socket"
		m.unit(name, "[Socket]", "Service=kinds.service", "FileDescriptorName="+s.name, s.lines)
		names = append(names, name)
	}
	m.service("kinds", "managed", "", "Sockets="+strings.Join(names, " "))
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", append([]string{"start"}, names...)...)
	for range 2 {
		m.feed("/run/kinds/fifo")
		m.start("kinds.service")
		m.equal("table", byName(m.printed("kinds")), byName(tableOf(sockets)))
		m.askKinds()
		m.stop("kinds.service")
		for _, path := range []string{"stream", "gram", "packet", "unnamed"} {
			if _, err := os.Lstat(m.Root() + "/run/kinds/" + path); err != nil {
				m.t.Errorf("systemd's socket was unlinked: %v", err)
			}
		}
	}
	m.MustRun("systemctl", append([]string{"stop"}, names...)...)
}

// freeVsock returns a vsock address that was free a moment ago. All machines
// share the ports of the host.
func freeVsock(t *testing.T) string {
	t.Helper()
	ln, err := activation.Bind("vsock", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func tableOf(sockets []handedSocket) string {
	var text strings.Builder
	for _, s := range sockets {
		for _, want := range s.want {
			fmt.Fprintf(&text, "%q (fd 0, %s) blocking\n", s.name, want)
		}
	}
	return text.String()
}

// byName sorts the lines of a table by name and leaves those of one name in
// their order.
func byName(table string) string {
	lines := strings.SplitAfter(table, "\n")
	slices.SortStableFunc(lines, func(a, b string) int {
		nameA, _, _ := strings.Cut(a, " ")
		nameB, _, _ := strings.Cut(b, " ")
		return strings.Compare(nameA, nameB)
	})
	return strings.Join(lines, "")
}

// feed writes to the FIFO, of which systemd holds both ends.
func (m *manager) feed(path string) {
	m.t.Helper()
	err := m.Inside(func() error {
		fifo, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = fifo.WriteString("hello")
		return errors.Join(err, fifo.Close())
	})
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *manager) askKinds() {
	m.t.Helper()
	for _, address := range []string{"8001", "8002", "8003", "8004", "8004", "8004", "8004", "8053"} {
		ask(m.t, m.dial("tcp", "127.0.0.1:"+address))
	}
	for _, path := range []string{"/run/kinds/stream", "@kinds", "/run/kinds/unnamed"} {
		ask(m.t, m.dial("unix", path))
	}
	for _, address := range []string{"8004", "8004", "8004", "8053"} {
		ask(m.t, m.dial("udp", "127.0.0.1:"+address))
	}
	ask(m.t, m.dial("unixpacket", "/run/kinds/packet"))
	m.askGram("/run/kinds/gram")
}

// askGram asks from an abstract name, since an answer needs somewhere to go.
func (m *manager) askGram(path string) {
	m.t.Helper()
	var conn net.Conn
	err := m.Inside(func() (err error) {
		conn, err = net.DialUnix("unixgram", &net.UnixAddr{Name: "@asking"}, &net.UnixAddr{Name: path})
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	ask(m.t, conn)
}

// managedSpecial is a socket unit with a character device. It must be one with
// a poll method, or systemd cannot wait for it; since it is always readable,
// the socket unit starts the service at once. And the socket unit must stop
// first: one that waits for its service to stop reads the device empty
// meanwhile (flush_fd of systemd), which has no end.
func managedSpecial(m *manager) {
	m.unit("special.socket", "[Socket]", "ListenSpecial=/dev/random", "FileDescriptorName=special")
	m.service("special", "managed", "")
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", "start", "special.socket")
	m.start("special.service")
	m.equal("table", m.printed("special"), "\"special\" (fd 0, char, /dev/random) blocking\n")
	m.MustRun("systemctl", "stop", "special.socket")
	m.stop("special.service")
}

// managedOpenFile has OpenFile= of a plain file, of a missing one and of a Unix
// socket that another service listens on. Before 253, systemd ignores the
// setting.
func managedOpenFile(m *manager) {
	m.unit("peer.socket", "[Socket]", "ListenStream=/run/peer")
	m.service("peer", "managed", "")
	m.service("open", "opened", "", "Type=oneshot",
		"OpenFile=/etc/hostname:host:read-only", "OpenFile=/run/peer:peer", "OpenFile=/run/absent:absent:graceful")
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", "start", "peer.socket")
	m.start("open.service")
	m.MustRun("systemctl", "stop", "peer.socket", "peer.service")
	want := "\"host\" (fd 0, file, /etc/hostname) blocking\n" +
		"\"peer\" (fd 0, unix connection from /run/peer, no address) blocking\n" + m.MustRun("cat", "/etc/hostname")
	if m.version < 253 {
		want = ""
	}
	m.equal("table", m.printed("open"), want)
}

// managedAccept has several connections at once, each with a process of its
// own.
func managedAccept(m *manager) {
	m.unit("accept.socket", "[Socket]", "ListenStream=127.0.0.1:8010", "ListenStream=[::1]:8010", "Accept=yes")
	m.service("accept@", "accepting", "", "Type=simple")
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", "start", "accept.socket")
	conns := []net.Conn{}
	for range 3 {
		for _, address := range []string{"127.0.0.1:8010", "[::1]:8010"} {
			conns = append(conns, m.dial("tcp", address))
		}
	}
	for _, conn := range conns {
		told := make([]byte, len(conn.LocalAddr().String()))
		if n, err := conn.Read(told); err != nil || string(told[:n]) != conn.LocalAddr().String() {
			m.t.Errorf("the service sees %q, %v, want %s", told[:n], err, conn.LocalAddr())
		}
	}
	if n := len(m.Processes("system-accept.slice")); n != len(conns) {
		m.t.Errorf("%d processes serve %d connections", n, len(conns))
	}
	for _, conn := range conns {
		ask(m.t, conn)
	}
	m.instancesEndedWell("accept@*.service")
	m.MustRun("systemctl", "stop", "accept.socket")
}

// instancesEndedWell waits for all of them to end. systemd forgets those which
// ended well.
func (m *manager) instancesEndedWell(pattern string) {
	m.t.Helper()
	left := ""
	m.Wait("the end of "+pattern, func() bool {
		left = m.MustRun("systemctl", "list-units", "--all", "--plain", "--no-legend", pattern)
		return !strings.Contains(left, " running ") && !strings.Contains(left, " start")
	})
	if strings.Contains(left, "failed") {
		m.t.Errorf("%s%s", left, m.Journal("-u", pattern))
	}
}

// managedAcceptGone resets the connection after systemd has started the service
// and before it has looked at it: only REMOTE_ADDR and REMOTE_PORT still say
// who it was.
func managedAcceptGone(m *manager) {
	m.unit("gone.socket", "[Socket]", "ListenStream=127.0.0.1:8011", "Accept=yes")
	m.service("gone@", "accepting", "gone", "Type=simple",
		"ExecStart=", "ExecStart=/bin/sh -c 'mkfifo /run/gone.fifo; read _ </run/gone.fifo; exec /usr/bin/daemon'")
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", "start", "gone.socket")
	conn := m.dial("tcp", "127.0.0.1:8011")
	m.Wait("the service", func() bool { _, err := os.Lstat(m.Root() + "/run/gone.fifo"); return err == nil })
	reset(m.t, conn)
	m.MustRun("sh", "-c", "echo >/run/gone.fifo")
	m.instancesEndedWell("gone@*.service")
	m.equal("remote address", m.printed("gone"), conn.LocalAddr().String()+"\n")
	m.MustRun("systemctl", "stop", "gone.socket")
}

// managedAddressee runs the service as systemd starts it, and with the pidfd id
// of another process, as a child of it would see that had the luck to get the
// same pid.
func managedAddressee(m *manager) {
	m.unit("named.socket", "[Socket]", "ListenStream=/run/named", "FileDescriptorName=named")
	m.service("named", "addressed", "", "Type=oneshot")
	m.unit("other.socket", "[Socket]", "ListenStream=/run/other", "FileDescriptorName=other")
	m.service("other", "addressed", "", "Type=oneshot",
		"ExecStart=", "ExecStart=/bin/sh -c 'export LISTEN_PIDFDID=$$(($$LISTEN_PIDFDID + 1)); exec /usr/bin/daemon'")
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", "start", "named.socket", "other.socket")
	m.start("named.service", "other.service")
	m.equal("own", m.printed("named"), fmt.Sprintf("LISTEN_PIDFDID %t\n\"named\" (fd 0, unix listener, /run/named) blocking\n", m.version >= 259))
	m.equal("another", m.printed("other"), "LISTEN_PIDFDID true\nLISTEN_PIDFDID not believed\n")
	m.MustRun("systemctl", "stop", "named.socket", "other.socket")
}

// managedStore restarts a service that stores files, uses them, and stores them
// anew. The listener answers each time.
func managedStore(m *manager) {
	m.service("store", "remembered", "", "FileDescriptorStoreMax=10")
	m.MustRun("systemctl", "daemon-reload")
	stored := []string{
		`"kept" (fd 0, tcp listener, 127.0.0.1:8020) non-blocking`,
		`"note" (fd 0, file, /memfd:note (deleted)) blocking`,
		`"pair" (fd 0, unix socket, not listening, no address) blocking`,
		`"pair" (fd 0, unix socket, not listening, no address) blocking`,
		"",
	}
	for i, want := range []struct{ table, left string }{{"", "4"}, {strings.Join(stored, "\n"), "0"}, {"", "4"}} {
		m.MustRun("systemctl", "restart", "store.service")
		m.endedWell("store.service")
		m.equal(fmt.Sprint("table ", i), byName(m.printed("store")), want.table)
		m.equal(fmt.Sprint("stored by ", i), m.Property("store.service", "NFileDescriptorStore"), want.left)
		ask(m.t, m.dial("tcp", "127.0.0.1:8020"))
	}
	m.stop("store.service")
}
