package lint_test

import (
	"strings"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

// onLoopback gives the address to a second socket, of the loopback device, and
// another one to the first.
func onLoopback(s *scene, d *units.Service) {
	device := units.Setting{Section: "Socket", Name: "BindToDevice", Value: "lo"}
	d.Sockets = append(d.Sockets, units.Socket{Name: "lo", Addresses: []string{s.address}, Settings: []units.Setting{device}})
	d.Sockets[0].Addresses = []string{strings.Replace(s.address, "127.0.0.1", "127.0.0.3", 1)}
}

// startEach starts the sockets and the service. Which of two sockets fails is
// that which comes second.
func startEach(s *scene) string { return s.start() }

// startOnNetwork does so where there is another device than lo, unless it fails
// anyway.
func startOnNetwork(s *scene) string {
	if !s.isBad {
		s.m.Join(sdtest.NewNetwork(s.t), "192.0.2.1/24")
	}
	return s.start()
}

func socketProofs() []proof {
	const anew = "[Socket]\nListenStream=\nListenStream=ADDRESS"
	return []proof{
		{rule: "accept", badSocket: "[Socket]\nAccept=yes", act: startSocket, breaks: "broken, refused", holds: "1, 1"},
		{rule: "backlog", badSocket: "[Socket]\nBacklog=2", act: queue(8), breaks: "not all are connected", holds: "all are connected"},
		{rule: "flush-pending", badSocket: "[Socket]\nFlushPending=yes", act: crashWithQueue, breaks: "broken", holds: "2"},
		{
			rule: "fd-name", badSocket: "[Socket]\nFileDescriptorName=heirloom", goodSocket: "[Socket]\nFileDescriptorName=http",
			act: start, breaks: "start 1, not active", holds: "start 0",
		},
		{
			rule: "socket-names", badSocket: "[Socket]\nFileDescriptorName=htpp", goodSocket: "[Socket]\nFileDescriptorName=http",
			daemon: lint.Daemon{Sockets: []string{"http"}}, act: start, breaks: "start 1, not active", holds: "start 0",
		},
		{rule: "socket-part-of", badSocket: "[Unit]\nPartOf=NAME.service", act: restartAndConnect, breaks: "1, broken", holds: "1, 2"},
		{rule: "socket-part-of", badSocket: "[Unit]\nBindsTo=NAME.service", act: restartAndConnect, breaks: "1, broken", holds: "1, 2"},
		{rule: "socket-install", badSocket: "[Install]\nWantedBy=", without: "Sockets", act: boot, breaks: "inactive", holds: "active"},
		{rule: "socket-service", badSocket: "[Socket]\nService=NAME-other.service", act: start, breaks: "start 1, not active", holds: "start 0"},
		{
			rule: "sockets-missing", bad: "[Service]\nSockets=NAME-http.socket", good: "[Service]\nSockets=NAME.socket", without: "Sockets",
			act: startAlone, breaks: "start 1, refused", holds: "start 0, 1",
		},
		{rule: "sockets-unlisted", without: "Sockets", act: startAlone, breaks: "start 1, refused", holds: "start 0, 1"},
		{rule: "same-address", badSocket: "[Socket]\nListenStream=ADDRESS", act: start, breaks: "start 1, not active", holds: "start 0"},
		{
			rule: "same-address", badSocket: anew, goodSocket: anew + "\nBindToDevice=eth0", describe: onLoopback,
			act: startOnNetwork, breaks: "start 1", holds: "start 0",
		},
		{
			rule: "same-address", badSocket: anew, goodSocket: anew + "\nPrivateNetwork=yes", describe: onLoopback,
			act: startEach, breaks: "start 1", holds: "start 0",
		},
		{
			rule: "same-address", badSocket: anew + "\nReusePort=yes", goodSocket: "[Socket]\nReusePort=yes", describe: onLoopback,
			act: startEach, breaks: "start 1", holds: "start 0",
		},
		{
			rule: "instance-address", badSocket: anew, goodSocket: "[Socket]", instances: true,
			act: startSecond, breaks: "start 0, start 1", holds: "start 0, start 0",
		},
		{
			rule: "instance-address", badSocket: anew + "\nBindToDevice=lo", goodSocket: anew + "\nPrivateNetwork=yes", instances: true,
			act: startSecond, breaks: "start 0, start 1", holds: "start 0, start 0",
		},
		{
			rule: "socket-in-runtime-directory", badSocket: "[Socket]\nListenStream=\nListenStream=/run/NAME/http.sock", goodSocket: "[Socket]",
			describe: onPath("/run/NAME.sock"), program: "proof", act: stopAndComeBack, breaks: "1, stop 0, no such path", holds: "1, stop 0, 1",
		},
		{
			rule: "remove-on-stop", badSocket: "[Socket]\nRemoveOnStop=yes", describe: onPath("/run/NAME.sock"), program: "proof",
			act: stopSocket, breaks: "1, 0, no such path", holds: "1, 0, 1",
		},
		{rule: "trigger-limit", badSocket: "[Socket]\nTriggerLimitBurst=2\nTriggerLimitIntervalSec=1min", act: activate(3), breaks: "broken, failed", holds: "1, active"},
		{rule: "reuse-port", badSocket: "[Socket]\nReusePort=yes", act: bindAgain, breaks: "bound", holds: "in use"},
	}
}
