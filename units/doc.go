// Package units renders the files that systemd reads to run a daemon built with
// heirloom: its service, its sockets, and, where it has a user or paths of its
// own, sysusers.d(5) and tmpfiles.d(5).
//
// A [Service] describes the daemon. By default the daemon runs as a user that
// exists only while it runs, has no network except the sockets that it is
// handed, cannot write anywhere, and has no capability. Each field that names a
// need opens the sandbox for just that.
//
//	hello := units.Service{
//		Name:        "hello",
//		Program:     "/usr/bin/hello",
//		Sockets:     []units.Socket{{Name: "http", Addresses: []string{"0.0.0.0:8080"}}},
//		StopTimeout: 20 * time.Second,
//	}
//	files, err := hello.Render(252)
//
// The other lines of the units let a reload, restart and upgrade happen without
// a client noticing: what systemd keeps over a restart, whose messages it
// believes, which processes it signals, how long it waits. Package
// [github.com/heirloom-go/heirloom/units/lint] has the reason for each line,
// and finds mistakes in a unit that was written by hand. Package
// [github.com/heirloom-go/heirloom/units/packaging] makes a Debian or RPM
// package from the same description. The command
// [github.com/heirloom-go/heirloom/units/cmd/heirloom-units] does all three,
// from a description in a file, see [ParseSpec].
//
// The rendered service holds the hash of the settings that take a new start,
// see [Hash], so that an upgrade can find out whether a reload is enough.
//
// # Instances
//
// A Name with an @ at its end makes templates, also of the sockets. Addresses
// must differ by %i, as in "127.0.0.1:80%i" or "/run/hello-%i.sock", and
// directories should: StateDirectory "hello-%i".
//
//	systemctl enable --now hello@81.service       # its sockets with it, by Also= and Sockets=
//	systemctl reload hello@81.service             # no other instance is touched
//	RUNTIME_DIRECTORY=/run/hello-81 hello status  # each has its own control socket
//	systemctl disable --now hello@81.service
//	systemctl stop hello@81.socket                # a socket listens until it is stopped as well
//
// `systemctl enable hello@.service` needs DefaultInstance= in the section
// Install of the service and of each socket: see Settings. All instances run as
// one user. To give each its own user, set User=hello-%i in Settings: with
// DynamicUser= nothing else is needed.
//
// # Services of users
//
// With the Scope User the units are for `systemctl --user`, installed for all
// users in /usr/lib/systemd/user. Sockets may be in the user's own folder:
// "%t/hello.sock".
//
//	# for all users: systemctl --global enable hello.service
//	systemctl --user enable --now hello.service
//	# from outside: systemctl --user -M one@.host reload hello.service
//	systemctl --user reload hello.service
//	# with XDG_RUNTIME_DIR set, as it is after a login
//	hello status
//	# otherwise the service stops with the user's last session
//	loginctl enable-linger one
//
// Reload, restart, the descriptor store, and drop-ins in ~/.config/systemd/user
// for the stop timeout work as usual. The sandbox filters only system calls,
// and `systemd-analyze --user security` says 5.5 to 5.9. If users may make user
// namespaces, Settings may add PrivateUsers=yes, and with it
// ProtectSystem=strict, PrivateTmp=yes, PrivateDevices=yes: systemd 257 and 262
// imply the first, 252 ignores the others without it, or fails. Never
// ProtectHome=: it hides systemd's own socket below /run/user, and the start
// times out.
//
// # Containers
//
// [Service.Quadlet] renders a .container file for podman 5, and the same socket
// units: systemd listens, and the container is handed the sockets, so it needs
// no network.
//
//	# podman makes hello.service, which cannot be enabled
//	systemctl daemon-reload
//	# a socket unit is an ordinary one
//	systemctl enable --now hello.socket
//	# as every boot does
//	systemctl start hello.service
//	# starts the program in the same container again, in place
//	systemctl reload hello.service
//	# first, since a restart that pulls keeps clients waiting
//	podman pull registry.example.org/hello:1
//	# the new image; clients wait about half a second
//	systemctl restart hello.service
//	podman exec hello /usr/bin/hello status
//
// An image that does not start leaves clients waiting, not broken: tag the old
// one and restart. A template is enabled by its sockets, hello@81.socket. The
// files of a user are in /etc/containers/systemd/users. See Quadlet for the
// versions that were tested.
//
// # Dependencies
//
// The package imports nothing of the daemon's side and works on any system.
package units
