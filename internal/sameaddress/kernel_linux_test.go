package sameaddress_test

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/freeport"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/sameaddress"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// TestKernel has the kernel bind any two of many places, in either order, with
// the options that systemd sets.
func TestKernel(t *testing.T) {
	var places []sameaddress.Place
	for _, p := range variants(t) {
		if fd, err := bind(p); err == nil {
			_ = unix.Close(fd)
			places = append(places, p)
		} else if errors.Is(err, unix.EADDRINUSE) {
			t.Fatalf("%+v: %v", p, err)
		}
	}
	pairs := 0
	for _, first := range places {
		for _, second := range places {
			pairs++
			judge(t, first, second)
		}
	}
	t.Logf("%d pairs of %d places", pairs, len(places))
}

// variants are places of one port. Not all of them can be bound on each
// machine.
func variants(t *testing.T) []sameaddress.Place {
	t.Helper()
	devices := []string{"", "lo"}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if i.Name != "lo" {
			devices = append(devices, i.Name)
			break
		}
	}
	if len(devices) < 3 {
		t.Log("there is no device but lo")
	}
	var all []sameaddress.Place
	for setting, network := range map[string]string{"ListenStream": "tcp", "ListenDatagram": "udp"} {
		_, port, _ := net.SplitHostPort(freeport.Address(t, network))
		for _, host := range []string{"", "[::]:", "0.0.0.0:", "127.0.0.1:", "127.0.0.2:", "[::1]:", "[::ffff:127.0.0.1]:"} {
			for _, device := range devices {
				p := sameaddress.Place{Setting: setting, Address: host + port, Device: device}
				all = append(all, p)
				p.Reused = true
				all = append(all, p)
				p.Reused, p.IPv6Only = false, true
				if host == "" || host[0] == '[' {
					all = append(all, p)
				}
			}
		}
	}
	return all
}

// judge binds the second place beside the first. Both are bound anew: the
// kernel remembers of a port's sockets whether there was one that shares it.
func judge(t *testing.T, first, second sameaddress.Place) {
	t.Helper()
	bound, err := bind(first)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(bound) }()
	want := first.Then(second)
	fd, err := bind(second)
	if err == nil {
		defer func() { _ = unix.Close(fd) }()
	}
	if errors.Is(err, unix.EADDRINUSE) != (want == sameaddress.Refused) {
		t.Errorf("%+v, then %+v: %v, want outcome %d", first, second, err, want)
	}
	if want != sameaddress.OneGetsAll || second.Device != "" && second.Device != "lo" { // where nobody sends from
		return
	}
	send(t, second)
	send(t, second)
	if one, two := receiver(t, bound, fd), receiver(t, bound, fd); one != two {
		t.Errorf("%+v, then %+v: each gets a datagram", first, second)
	}
}

// send sends a datagram to the place.
func send(t *testing.T, p sameaddress.Place) {
	t.Helper()
	address, _ := socketAddress(p)
	host := address.Addr().String()
	if address.Addr().IsUnspecified() && address.Addr().Is4() {
		host = "127.0.0.1"
	} else if address.Addr().IsUnspecified() {
		host = "::1"
	}
	conn, err := net.Dial("udp", net.JoinHostPort(host, strconv.Itoa(int(address.Port()))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
}

// receiver takes a datagram, and returns the socket that has got it.
func receiver(t *testing.T, sockets ...int) int {
	t.Helper()
	var polled []unix.PollFd
	for _, fd := range sockets {
		polled = append(polled, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	deadline := patience.Deadline(10 * time.Second)
	for time.Now().Before(deadline) {
		if _, err := unix.Poll(polled, 1000); err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
		for _, p := range polled {
			if p.Revents != 0 {
				_, _, err := unix.Recvfrom(int(p.Fd), make([]byte, 1), unix.MSG_DONTWAIT)
				if err != nil {
					t.Fatal(err)
				}
				return int(p.Fd)
			}
		}
	}
	t.Fatal("no socket gets a datagram")
	return -1
}

// socketAddress is what systemd makes of the address.
func socketAddress(p sameaddress.Place) (netip.AddrPort, int) {
	text := p.Address
	if !strings.Contains(text, ":") {
		text = "[::]:" + text
	}
	address := netip.MustParseAddrPort(text)
	if address.Addr().Is4() {
		return address, unix.AF_INET
	}
	return address, unix.AF_INET6
}

// bind does what socket_address_listen of systemd does.
func bind(p sameaddress.Place) (fd int, err error) {
	address, family := socketAddress(p)
	kind := unix.SOCK_STREAM
	if p.Setting == "ListenDatagram" {
		kind = unix.SOCK_DGRAM
	}
	if fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	options := [][3]int{{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1}, {unix.SOL_SOCKET, unix.SO_REUSEPORT, number(p.Reused)}}
	var to unix.Sockaddr
	if family == unix.AF_INET6 {
		options = append(options, [3]int{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, number(p.IPv6Only)})
		to = &unix.SockaddrInet6{Port: int(address.Port()), Addr: address.Addr().As16()}
	} else {
		to = &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}
	}
	for _, option := range options {
		if err = unix.SetsockoptInt(fd, option[0], option[1], option[2]); err != nil {
			return -1, err
		}
	}
	if p.Device != "" {
		if err = unix.BindToDevice(fd, p.Device); err != nil {
			return -1, err
		}
	}
	if err = unix.Bind(fd, to); err != nil || kind == unix.SOCK_DGRAM {
		return fd, err
	}
	return fd, unix.Listen(fd, syscall.SOMAXCONN)
}

func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
