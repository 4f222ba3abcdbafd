package sdtest_test

import (
	"bufio"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestNetwork connects machines of all versions, whose roots need no programs
// for that.
func TestNetwork(t *testing.T) {
	before := interfaces(t)
	network, other := sdtest.NewNetwork(t), sdtest.NewNetwork(t)
	first, second, stranger := sdtest.Boot(t, sdtest.V252), sdtest.Boot(t, sdtest.V262), sdtest.Boot(t, sdtest.V257)
	first.Join(network, "192.0.2.1/24")
	second.Join(network, "192.0.2.2/24")
	stranger.Join(other, "192.0.2.1/24") // the same address elsewhere
	if during := interfaces(t); !slices.Equal(before, during) {
		t.Errorf("the host has the interfaces %q, it had %q", during, before)
	}
	greetAt(t, first, "192.0.2.1:7", "first")
	greetAt(t, stranger, "192.0.2.1:7", "stranger")
	if got := greeting(t, second, "192.0.2.1:7"); got != "first" {
		t.Errorf("the second reached %q", got)
	}
	second.Join(other, "198.51.100.2/24")
	stranger.Join(other, "198.51.100.3/24")
	greetAt(t, stranger, "198.51.100.3:7", "stranger on its second")
	if got := greeting(t, second, "198.51.100.3:7"); got != "stranger on its second" {
		t.Errorf("in its second network the second reached %q", got)
	}
	if conn, err := second.Dial(t.Context(), "tcp", "203.0.113.1:7"); err == nil {
		conn.Close()
		t.Error("it reached what is in neither network")
	}
}

// greetAt has the machine greet, with a line, whoever connects.
func greetAt(t *testing.T, m *sdtest.Machine, address, name string) {
	t.Helper()
	var listener net.Listener
	err := m.Inside(func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(name + "\n"))
			conn.Close()
		}
	}()
}

func greeting(t *testing.T, m *sdtest.Machine, address string) string {
	t.Helper()
	conn, err := m.Dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

// interfaces lists those of the host.
func interfaces(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestUnpack has the files of a package in a machine whose host does not have
// them, or as they are there.
func TestUnpack(t *testing.T) {
	m := sdtest.Boot(t, sdtest.V252)
	m.Unpack("libwrap0")
	m.Unpack("openssh-server")
	m.MustRun("test", "-L", "/lib") // which it must not replace
	if out := m.MustRun("systemctl", "cat", "ssh.service"); !strings.Contains(out, "/usr/sbin/sshd") {
		t.Errorf("the unit is\n%s", out)
	}
	if out, _ := m.Run("/usr/sbin/sshd", "-V"); !strings.Contains(out, "OpenSSH") {
		t.Errorf("sshd says %q", out)
	}
	if state := m.Property("ssh.service", "ActiveState"); state != "inactive" {
		t.Errorf("sshd is %s", state)
	}
}
