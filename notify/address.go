package notify

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxPath is the longest path that fits in sun_path of unix(7) with its final
// NUL byte.
const maxPath = 107

// address is a parsed $NOTIFY_SOCKET: either path, or the rest.
type address struct {
	path string // of a Unix socket, starts with / or @
	cid  uint32
	port uint32
	kind vsockKind
}

// vsockKind is the socket type an address asks for.
type vsockKind uint8

const (
	vsockAny vsockKind = iota
	vsockDatagram
	vsockSeqpacket
	vsockStream
)

// parseAddress accepts the addresses that sd_notify accepts with
// socket_address_parse_unix and socket_address_parse_vsock.
func parseAddress(value string) (address, error) {
	a, problem := parseUnix(value)
	if scheme, rest, found := strings.Cut(value, ":"); found && strings.HasPrefix(scheme, "vsock") {
		a, problem = parseVsock(scheme, rest)
	}
	if problem != "" {
		return address{}, fmt.Errorf("%w: address %q: %s", ErrInvalid, value, problem)
	}
	return a, nil
}

// parseUnix and the functions after it return what is wrong with the value as
// problem, which is empty if the value is valid.
func parseUnix(value string) (a address, problem string) {
	switch {
	case value == "" || value[0] != '/' && value[0] != '@':
		return a, "does not start with /, @ or vsock:"
	case len(value) == 1:
		return a, "has no name"
	case len(value) > maxPath:
		return a, fmt.Sprintf("is %d bytes long, more than the limit of %d", len(value), maxPath)
	case strings.IndexByte(value, 0) >= 0:
		return a, "contains a NUL byte"
	}
	return address{path: value}, ""
}

func parseVsock(scheme, rest string) (a address, problem string) {
	switch scheme {
	case "vsock":
		a.kind = vsockAny
	case "vsock-dgram":
		a.kind = vsockDatagram
	case "vsock-seqpacket":
		a.kind = vsockSeqpacket
	case "vsock-stream":
		a.kind = vsockStream
	default:
		return a, "has an unknown socket type"
	}
	cid, port, _ := strings.Cut(rest, ":")
	if a.cid, problem = parseCID(cid); problem != "" {
		return a, problem
	}
	a.port, problem = parsePort(port)
	return a, problem
}

func parseCID(value string) (cid uint32, problem string) {
	switch value {
	case "hypervisor":
		return 0, ""
	case "local":
		return 1, ""
	case "host":
		return 2, ""
	}
	number, err := strconv.ParseUint(value, 10, 32)
	// The largest number is VMADDR_CID_ANY, which only a receiver may use.
	if err != nil || number == math.MaxUint32 {
		return 0, fmt.Sprintf("CID %q is not hypervisor, local, host or a number below %d", value, uint32(math.MaxUint32))
	}
	return uint32(number), ""
}

func parsePort(value string) (port uint32, problem string) {
	number, err := strconv.ParseUint(value, 10, 32)
	// The largest number is VMADDR_PORT_ANY.
	if err != nil || number == math.MaxUint32 {
		return 0, fmt.Sprintf("port %q is not a number below %d", value, uint32(math.MaxUint32))
	}
	return uint32(number), ""
}
