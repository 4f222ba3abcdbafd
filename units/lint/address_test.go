package lint_test

import (
	"errors"
	"testing"

	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

// twoUnits listen at one address, with these lines in the one and in the other.
func twoUnits(one, two string) breach {
	const socket = "[Socket]\nListenStream=\n"
	return breach{rule: "same-address", of: twoSockets, socket: socket + one, second: socket + two}
}

// warned is a breach that does less harm than most of its rule.
func warned(b breach) breach {
	b.severity = lint.Warning
	return b
}

// instances have a socket unit with these lines.
func instances(lines string) breach {
	return breach{rule: "instance-address", of: template, socket: "[Socket]\nListenStream=\n" + lines}
}

func addressBreaches() []breach {
	reused := twoUnits("ListenStream=80", "ListenStream=80\nReusePort=yes")
	reused.also = []string{"reuse-port"}
	return []breach{
		{rule: "same-address", of: twoSockets, second: "[Socket]\nListenStream=8080"},
		{rule: "same-address", socket: "[Socket]\nListenStream=127.0.0.1:8080"},
		{rule: "same-address", of: twoSockets, socket: "[Socket]\nListenStream=0.0.0.0:80\nBindIPv6Only=ipv6-only", second: "[Socket]\nListenStream=[::]:80"},
		{rule: "same-address", of: twoSockets, socket: "[Socket]\nListenStream=[::]:80", second: "[Socket]\nListenStream=0.0.0.0:80\nBindIPv6Only=ipv6-only"},
		{rule: "same-address", socket: "[Socket]\nListenDatagram=53\nListenDatagram=[::]:53", severity: lint.Warning},
		{rule: "same-address", of: twoSockets, socket: "[Socket]\nListenStream=/run/x.sock", second: "[Socket]\nListenStream=/run/x.sock"},
		{rule: "instance-address", of: template, socket: "[Socket]\nListenStream=127.0.0.1:80"},
		twoUnits("ListenStream=80\nBindToDevice=lo", "ListenStream=80\nBindToDevice=lo"),
		twoUnits("ListenStream=80\nBindToDevice=lo", "ListenStream=80"),
		twoUnits("ListenStream=80", "ListenStream=127.0.0.1:80\nBindToDevice=lo"),
		twoUnits("ListenStream=80\nBindToDevice=lo", "ListenStream=80\nBindToDevice=eth0\nBindToDevice=*"),
		twoUnits("ListenStream=80\nBindToDevice=lo", "ListenStream=80\nBindToDevice=eth0\nBindToDevice="),
		twoUnits("ListenStream=80\nBindToDevice=lo", "ListenStream=80\nBindToDevice=%p"), // is no name of a device, and ignored
		twoUnits("ListenStream=80\nNetworkNamespacePath=/run/netns/a", "ListenStream=80\nNetworkNamespacePath=/run/netns/a"),
		twoUnits("ListenStream=/run/x.sock\nBindToDevice=lo", "ListenStream=/run/x.sock\nPrivateNetwork=yes"),
		twoUnits("ListenStream=/run/x.sock", "ListenDatagram=/run/x.sock"),
		twoUnits("ListenFIFO=/run/x", "ListenStream=/run//x"),
		twoUnits("ListenStream=/run/x", "ListenFIFO=/run/x"),
		twoUnits("ListenStream=@x\nBindToDevice=lo", "ListenStream=@x\nBindToDevice=eth0"),
		twoUnits("ListenStream=vsock::80", "ListenStream=vsock::80"),
		twoUnits("ListenStream=[::ffff:127.0.0.1]:80", "ListenStream=127.0.0.1:80"),
		twoUnits("ListenStream=80\nSocketProtocol=mptcp", "ListenStream=80"),
		warned(twoUnits("ListenFIFO=/run/x", "ListenFIFO=/run/x")),
		warned(twoUnits("ListenMessageQueue=/x", "ListenMessageQueue=/x")),
		warned(twoUnits("ListenDatagram=80\nBindToDevice=lo", "ListenDatagram=80\nBindToDevice=lo")),
		reused,
		instances("ListenStream=80\nNetworkNamespacePath=/run/netns/a"),
		instances("ListenStream=/run/x.sock\nPrivateNetwork=yes\nReusePort=no"),
		instances("ListenStream=80\nBindToDevice=lo"),
		warned(instances("ListenDatagram=80")),
		warned(instances("ListenFIFO=/run/x")),
	}
}

func addressSilences() []breach {
	both := twoUnits("ListenStream=80\nBindNetworkInterface=lo", "ListenStream=80\nBindNetworkInterface=eth0")
	both.options.Systemd = 260
	return []breach{
		{rule: "same-address", socket: "[Socket]\nListenStream=[::1]:8080"},
		{rule: "same-address", socket: "[Socket]\nListenDatagram=127.0.0.1:8080"},
		{rule: "same-address", socket: "[Socket]\nListenStream=8081\nListenStream=127.0.0.1:8082"},
		{rule: "same-address", socket: "[Socket]\nListenStream=8080\nBindIPv6Only=ipv6-only"},
		{rule: "same-address", socket: "[Socket]\nListenStream=8080\nBindIPv6Only=yes"},
		{rule: "same-address", of: twoSockets, socket: "[Socket]\nListenStream=[::]:80\nBindIPv6Only=ipv6-only", second: "[Socket]\nListenStream=0.0.0.0:80"},
		{rule: "same-address", socket: "[Socket]\nListenDatagram=0.0.0.0:53\nListenDatagram=127.0.0.1:53\nListenDatagram=53"},
		{rule: "same-address", socket: "[Socket]\nListenStream=\nListenStream=127.0.0.1:8080"},
		{rule: "instance-address", of: template, socket: "[Socket]\nListenStream=127.0.0.%i:80"},
		both,
		twoUnits("ListenStream=80\nBindToDevice=eth0", "ListenStream=80\nBindToDevice=eth1"),
		twoUnits("ListenStream=80\nBindToDevice=eth0", "ListenStream=127.0.0.1:80\nBindToDevice=lo"),
		twoUnits("ListenDatagram=53\nBindToDevice=eth0", "ListenDatagram=53"),
		twoUnits("ListenStream=80\nPrivateNetwork=yes", "ListenStream=80"),
		twoUnits("ListenStream=80\nPrivateNetwork=yes", "ListenStream=80\nPrivateNetwork=yes"),
		twoUnits("ListenStream=80\nNetworkNamespacePath=/run/netns/a", "ListenStream=80\nNetworkNamespacePath=/run/netns/b"),
		twoUnits("ListenStream=@x\nPrivateNetwork=yes", "ListenStream=@x"),
		twoUnits("ListenStream=@x", "ListenDatagram=@x"),
		twoUnits("ListenStream=80\nReusePort=yes", "ListenStream=80\nReusePort=yes"),
		twoUnits("ListenStream=80\nSocketProtocol=sctp", "ListenStream=80"),
		twoUnits("ListenNetlink=kobject-uevent 1", "ListenNetlink=kobject-uevent 1"),
		instances("ListenStream=80\nNetworkNamespacePath=/run/netns/%i"),
		instances("ListenStream=80\nPrivateNetwork=yes"),
		instances("ListenStream=80\nReusePort=yes"),
		instances("ListenNetlink=kobject-uevent 1"),
	}
}

// TestRenderedAddresses has any two addresses in one socket, or in two, refused
// by Render or found to be good.
func TestRenderedAddresses(t *testing.T) {
	addresses := []string{
		":80", "[::]:80", "0.0.0.0:80", "127.0.0.1:80", "[::1]:80", "127.0.0.2:80", "[::]:81", "0.0.0.0:81",
		"udp::80", "udp:[::]:80", "udp:0.0.0.0:80", "udp:127.0.0.1:80", "udp:[::1]:80",
		"/run/x.sock", "%t/x.sock", "unixgram:/run/x.sock", "unixpacket:/run/x.sock", "@x", "unixgram:@x", "vsock:80",
	}
	rendered, refused := 0, 0
	for _, one := range addresses {
		for _, two := range addresses {
			for _, sockets := range [][]units.Socket{
				{{Name: "one", Addresses: []string{one, two}}},
				{{Name: "one", Addresses: []string{one}}, {Name: "two", Addresses: []string{two}}},
				{{Name: "one", Addresses: []string{one, "[::]:81"}}, {Name: "two", Addresses: []string{two, "udp:[::]:81"}}},
			} {
				s := hello()
				s.Sockets = sockets
				if _, err := s.Render(252); errors.Is(err, units.ErrInvalid) {
					refused++
					continue
				}
				rendered++
				if found := check(t, lint.Options{}, render(t, s, 252)...); len(found) > 0 {
					t.Errorf("%+v:\n%s", sockets, list(found))
				}
			}
		}
	}
	if rendered < 500 || refused < 100 {
		t.Errorf("%d are rendered, and %d are refused", rendered, refused)
	}
}
