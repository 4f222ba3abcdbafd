// Package lint finds mistakes in the units of a daemon built with heirloom that
// would break its reload, restart, stop, crash or upgrade: aborted requests, a
// service that stops, a failure that nothing reports.
//
// Check judges a service together with its sockets, and each as systemd sees
// it, with its drop-ins:
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
// Each [Finding] belongs to a [Rule], and [Explain] has the details: which
// process gets which signal, what a client sees, and since which version. There
// are no findings for units that package units renders.
//
// More rules apply if something is known of the daemon itself, such as how long
// its requests take: see [Daemon].
//
// If the author of a unit has a reason for a line, the unit can turn a rule
// off, in any of its sections. systemd ignores settings that start with X-:
//
//	[Service]
//	X-Heirloom-Ignore=kill-mode timeout-stop
//
// [Fix] plans the drop-ins that put most findings right, and says of the others
// why they are left.
//
// The package only reads files and does not ask a running systemd, so it works
// on any system, and on units that are not installed.
package lint
