// Package lint finds in the units of a daemon built with heirloom what would break its reload, restart, stop, crash or upgrade: clients
// that are cut off, a service that ends, a failure that nobody is told of.
//
// A service is judged together with its sockets, and each as systemd sees it, with its drop-ins:
//
//	findings, err := lint.Check(lint.Options{Systemd: 257}, "hello.service")
//	if err != nil {
//		return err
//	}
//	err = lint.WriteText(os.Stdout, findings)
//
// which writes, in the form in which compilers do,
//
//	hello.service.d/local.conf:2: error: [Service] KillMode=none: ...; use KillMode=... (kill-mode)
//
// Each [Finding] belongs to a [Rule], and [Explain] has the whole story: which process gets which signal, what a client sees, and
// since when. Nothing is said about what package units renders.
//
// More can be said if something is known of the daemon itself, such as how long its requests take: see [Daemon].
//
// Where the author of a unit knows better, the unit says so, in any of its sections. systemd ignores settings that begin with X-:
//
//	[Service]
//	X-Heirloom-Ignore=kill-mode timeout-stop
//
// Files are only read: nothing is asked of a running systemd, so the package works on any system, and on units that are not installed.
package lint
