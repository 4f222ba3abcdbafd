package units_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/units"
)

// TestFamilies has the kernel bind all of IPv6 beside all of IPv4, which it
// refuses where IPv6's is for both; and leaves an address alone that is for
// both.
func TestFamilies(t *testing.T) {
	for _, test := range []struct {
		addresses string
		apart     bool
	}{
		{"0.0.0.0:8080 [::]:8080", true},
		{":8080 0.0.0.0:8080", true},
		{"[0::0]:80%i 0.0.0.0:80%i", true},
		{"udp:[::]:53 udp:0.0.0.0:53", true},
		{"0.0.0.0:80 [::]:80 127.0.0.1:81 [::1]:82 /run/x-%i:83 @x%i vsock:84", true},
		{":8080", false},
		{"[::]:8080 0.0.0.0:8081", false},
		{"[::]:53 udp:0.0.0.0:53", false},
		{"[::1]:80 0.0.0.0:80", false},
		{"/run/0.0.0.0:80 @[::]:80", false},
	} {
		service := units.Service{Name: "hello", Program: "/usr/bin/hello",
			Sockets: []units.Socket{{Name: "http", Addresses: strings.Fields(test.addresses)}}}
		files, err := service.Render(units.Oldest)
		if err != nil || strings.Contains(files[1].Text, "\nBindIPv6Only=ipv6-only\n") != test.apart {
			t.Errorf("%s: want IPv6 apart: %v, got %v\n%+v", test.addresses, test.apart, err, files)
		}
	}
	set := units.Setting{Section: "Socket", Name: "BindIPv6Only", Value: "both"}
	service := units.Service{Name: "hello", Program: "/usr/bin/hello",
		Sockets: []units.Socket{{Name: "http", Addresses: []string{"0.0.0.0:80", "[::]:80", ":81"}, Settings: []units.Setting{set}}}}
	if files, err := service.Render(units.Oldest); err != nil || strings.Count(files[1].Text, "BindIPv6Only") != 1 {
		t.Errorf("with a setting: %v\n%+v", err, files)
	}
}

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
