package around_test

import (
	"crypto/tls"
	"net"
	"runtime"
	"testing"

	"github.com/heirloom-go/heirloom/internal/around"
)

type embeds struct{ net.Conn }

type embedsTCP struct{ *net.TCPConn }

type conn = net.Conn

type hides struct{ conn }

type shows struct{ hides }

func (s shows) NetConn() net.Conn { return s.conn }

type circle struct{ hides }

func (c *circle) NetConn() net.Conn { return c }

func accepted(t *testing.T) (server *net.TCPConn, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc.(*net.TCPConn), client
}

func TestSee(t *testing.T) {
	socket, _ := accepted(t)
	tests := map[string]struct {
		nc   net.Conn
		seen bool
	}{
		"a struct":            {embeds{socket}, true},
		"a pointer":           {&embeds{socket}, true},
		"a TCP connection":    {&embedsTCP{socket}, true},
		"NetConn":             {shows{hides{socket}}, true},
		"two layers":          {&embeds{shows{hides{socket}}}, true},
		"hidden":              {&hides{socket}, false},
		"hidden in a struct":  {&embeds{&hides{socket}}, false},
		"nothing":             {&embeds{}, false},
		"a nil pointer":       {(*embeds)(nil), false},
		"itself":              {&circle{}, false},
		"TLS":                 {tls.Server(socket, nil), false},
		"around TLS":          {&embeds{tls.Server(socket, nil)}, false},
		"a connection of net": {socket, false},
	}
	for name, test := range tests {
		seen := around.See(test.nc)
		if c, ok := seen.(*around.Conn); ok != test.seen || ok && c.Socket() != socket || !ok && seen != test.nc {
			t.Errorf("%s: %T", name, seen)
		}
	}
}

// A reader returns less than it reads.
type reader struct{ net.Conn }

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(make([]byte, len(p)))
	return max(n-1, 0), err
}

func TestIsWhole(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the kernel does not count")
	}
	for name, put := range map[string]func(net.Conn) net.Conn{
		"all":  func(nc net.Conn) net.Conn { return &embeds{nc} },
		"less": func(nc net.Conn) net.Conn { return &reader{nc} },
	} {
		socket, client := accepted(t)
		c := around.See(put(socket)).(*around.Conn)
		if c.IsWhole() {
			t.Errorf("%s: whole before its address was asked for", name)
		}
		if !around.IsMovable(c) {
			t.Errorf("%s: not movable when it is new", name)
		}
		if _, err := client.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		if c.IsWhole() != (name == "all") {
			t.Errorf("%s: whole: %t", name, c.IsWhole())
		}
	}
}
