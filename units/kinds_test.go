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
	service := units.Service{Name: "hello", Program: "/usr/bin/hello",
		Sockets: []units.Socket{{Name: "http", Addresses: []string{"0.0.0.0:80", "[::]:80", ":81"}, Settings: bindIPv6Only("ipv6-only")}}}
	if files, err := service.Render(units.Oldest); err != nil || strings.Count(files[1].Text, "BindIPv6Only") != 1 {
		t.Errorf("with a setting: %v\n%+v", err, files)
	}
}

func bindIPv6Only(value string) []units.Setting {
	return []units.Setting{{Section: "Socket", Name: "BindIPv6Only", Value: value}}
}

// TestFamiliesOfTwo has the same where the families have a socket each.
func TestFamiliesOfTwo(t *testing.T) {
	for _, test := range []struct {
		one, two string
		apart    string // "" where it is refused
	}{
		{"0.0.0.0:80", "[::]:80", "no yes"},
		{"[::]:80", "0.0.0.0:80", "yes no"},
		{"udp:[::]:53 /run/x", "udp:0.0.0.0:53", "yes no"},
		{"[::]:80 0.0.0.0:81", "0.0.0.0:80 [::]:81", "yes yes"},
		{"[::]:80", "0.0.0.0:81", "no no"},
		{"[::]:80%i", "0.0.0.0:80%i", "yes no"},
		{"[::]:80 [::]:81", "0.0.0.0:80", ""}, // it would take IPv4 from the second
		{":80", "0.0.0.0:80", ""},             // which of them has IPv4?
		{"udp::53", "udp:0.0.0.0:53", "no no"},
	} {
		service := units.Service{Name: "hello", Program: "/usr/bin/hello", Sockets: []units.Socket{
			{Name: "one", Addresses: strings.Fields(test.one)}, {Name: "two", Addresses: strings.Fields(test.two)},
		}}
		files, err := service.Render(units.Oldest)
		switch {
		case test.apart == "" && !errors.Is(err, units.ErrInvalid), test.apart != "" && err != nil:
			t.Errorf("%s and %s: error %v", test.one, test.two, err)
		case err == nil:
			var apart []string
			for _, file := range files[1:] {
				apart = append(apart, map[bool]string{true: "yes", false: "no"}[strings.Contains(file.Text, "\nBindIPv6Only=ipv6-only\n")])
			}
			if got := strings.Join(apart, " "); got != test.apart {
				t.Errorf("%s and %s: IPv6 apart: %s, want %s", test.one, test.two, got, test.apart)
			}
		}
	}
}

// TestClash refuses an address that cannot be had beside another, and says
// which that is.
func TestClash(t *testing.T) {
	set := func(name, value string) []units.Setting {
		return []units.Setting{{Section: "Socket", Name: name, Value: value}}
	}
	for _, test := range []struct {
		one, two string
		settings []units.Setting // of the second
		clash    bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", nil, true},
		{"127.0.0.1:80", ":80", nil, true},
		{"127.0.0.1:80", "[::]:80", nil, true},
		{"127.0.0.1:80", "[::]:80", bindIPv6Only("ipv6-only"), false},
		{"0.0.0.0:80", "[::]:80", bindIPv6Only("both"), true},
		{"0.0.0.0:80", "127.0.0.1:80", nil, true},
		{"[::]:80", "[::1]:80", bindIPv6Only("yes"), true},
		{"udp:0.0.0.0:53", "udp:127.0.0.1:53", nil, false},
		{"udp:127.0.0.1:53", "udp:127.0.0.1:53", nil, true},
		{"127.0.0.1:80", ":80", set("PrivateNetwork", "yes"), false},
		{"/run/x.sock", "unixgram:/run/x.sock", nil, true},
		{"/run/x.sock", "%t/x.sock", nil, true},
		{"@x", "@x", nil, true},
		{"vsock:80", "vsock:80", nil, true},
		{"127.0.0.1:80%i", "[::]:80%i", nil, true},
	} {
		one, two := units.Socket{Name: "one", Addresses: []string{test.one}}, units.Socket{Name: "two", Addresses: []string{test.two}, Settings: test.settings}
		both := units.Socket{Name: "one", Addresses: []string{test.one, test.two}, Settings: test.settings}
		for _, sockets := range [][]units.Socket{{one, two}, {both}} {
			if len(sockets) == 1 && test.settings != nil && test.settings[0].Name == "PrivateNetwork" {
				continue // a unit has one network
			}
			_, err := units.Service{Name: "hello", Program: "/usr/bin/hello", Sockets: sockets}.Render(units.Oldest)
			var invalid *units.Error
			errors.As(err, &invalid)
			clash := invalid != nil && invalid.Field == "Addresses" && invalid.Value == test.two && strings.Contains(invalid.Why, "socket one listens at "+test.one)
			if clash != test.clash || err != nil && !clash {
				t.Errorf("%s and %s in %d sockets: %v", test.one, test.two, len(sockets), err)
			}
		}
	}
}

// TestOctal refuses a port that systemd reads as another one.
func TestOctal(t *testing.T) {
	for _, address := range []string{":0080", "udp:127.0.0.1:053", "vsock:010", ":0", "[::1]:08"} {
		_, err := units.Service{Name: "hello", Program: "/usr/bin/hello", Sockets: []units.Socket{{Name: "http", Addresses: []string{address}}}}.Render(units.Oldest)
		if !errors.Is(err, units.ErrInvalid) {
			t.Errorf("%s: error %v", address, err)
		}
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
