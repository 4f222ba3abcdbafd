package units_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/units"
)

// TestAddressBelowSpecifier has the paths of sockets that a service manager of
// a user expands.
func TestAddressBelowSpecifier(t *testing.T) {
	for address, want := range map[string]string{
		"%t/hello.sock":           "ListenStream=%t/hello.sock\n",
		"unixgram:%h/hello.sock":  "ListenDatagram=%h/hello.sock\n",
		"%t/hello/http.sock":      "", // systemd removes it
		"%t/../hello.sock":        "",
		"%t":                      "",
		"%i/hello.sock":           "",
		"unix:%%/hello.sock":      "",
		"%t/hellos/hello.sock":    "ListenStream=%t/hellos/hello.sock\n",
		"127.0.0.1:80%i":          "ListenStream=127.0.0.1:80%i\n",
		"unixpacket:/run/%i.sock": "ListenSequentialPacket=/run/%i.sock\n",
	} {
		service := units.Service{Name: "hello", Scope: units.User, Program: "/usr/bin/hello",
			Sockets: []units.Socket{{Name: "http", Addresses: []string{address}}}}
		files, err := service.Render(units.Oldest)
		switch {
		case want == "" && !errors.Is(err, units.ErrInvalid):
			t.Errorf("%s: error %v", address, err)
		case want != "" && (err != nil || !strings.Contains(files[1].Text, want)):
			t.Errorf("%s: error %v, want %q", address, err, want)
		}
	}
}
