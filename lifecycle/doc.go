// Package lifecycle runs a daemon that can be replaced at any moment, under
// full load, without one client noticing.
//
// At any point one process of the service, a generation, is the main one. A
// reload starts the next generation alongside it, from the same path, which by
// now may hold a new version. Both have the same listening sockets. When the
// successor is ready it starts to accept, and becomes the main process to the
// service manager. The predecessor drains: it finishes the requests in flight,
// passes on each HTTP/1.1 connection as soon as no request is under way on it,
// and exits. If the successor does not become ready, it is killed, and nothing
// else has happened. The client sees one connection, and a response to every
// request.
//
// All of it in a main:
//
//	os.Exit(lifecycle.Main(lifecycle.Options{}, os.Args[1:], func(service *lifecycle.Service) error {
//		return service.ListenAndServe(&http.Server{Addr: "127.0.0.1:8080", Handler: handler})
//	}))
//
// or, with all that [Main] does by hand, which leaves room for more:
//
//	service, err := lifecycle.New(lifecycle.Options{})
//	...
//	listener, err := service.Listen("http", "tcp", "127.0.0.1:8080")
//	...
//	err = service.HTTP(listener, &http.Server{Handler: handler})
//	...
//	err = service.Run(context.Background())
//
// New takes over what the process was started with. Listen and HTTP say what it
// serves. Run serves until the process is replaced or told to stop. A complete
// program is [github.com/heirloom-go/heirloom/examples/hello].
//
// # Reload, restart and stop
//
// SIGHUP and SIGUSR2 ask for a reload, and so do [Service.Reload] and, through
// the control socket, [Command], which Main calls. With it, `systemctl reload`
// waits for the successor, and fails with the reason if it did not become ready:
//
//	[Service]
//	Type=notify
//	ExecReload=/usr/bin/hello reload
//	RuntimeDirectory=hello
//	FileDescriptorStoreMax=64
//
// SIGTERM and SIGINT end the process: it stops accepting and finishes the
// requests in flight. [Options] has the signals and times.
//
// With FileDescriptorStoreMax= systemd holds for the service what the next
// process needs, and `systemctl restart` breaks no request. The listeners that
// the service has bound itself stay open. Connections at rest wait for the next
// process, queued in one Unix socket whatever their number. After a crash the
// listeners are still there, and so are the plain HTTP/1.1 connections of TCP
// that were at rest ([Service.WithoutLedger]). The store needs room for each
// such listener and five more. With thousands of long requests some more
// sockets are used.
//
// A process that fails to become ready leaves everything to the next one, so
// clients wait while the operator repairs the configuration, and do not lose
// their connections. After `systemctl stop` nothing is left, unless the unit
// says FileDescriptorStorePreserve=yes. Before systemd 262 another unit must
// then refer to it as well, such as the target that it is enabled for.
// Otherwise systemd forgets it.
//
// Where there is no store, or no next process, the next response on each
// connection says Connection: close. Connections that stay idle are closed
// after [Options].Linger.
//
// # The end of a process
//
// A process that was replaced or told to stop drains: it finishes the requests
// in flight, and then exits. The unit limits the time with TimeoutStopSec=, as
// it is when the drain starts. A margin is kept, so that systemd never has to
// kill. Without a unit the limit is 90 seconds. [Options].DrainTimeout
// overrides both. The phases are
//
//  1. lame duck, on a stop, and if [Options].LameDuck says so: the process serves
//     as before, but [Service.Status] says "lame duck";
//  2. finishing: no new connection is accepted, the servers of all kinds finish
//     side by side, [Service.Draining] is closed, and the contexts of workers
//     ([Service.Go]) are cancelled;
//  3. cancelling, at the deadline: the stacks of the goroutines that still run are
//     logged, and the contexts of requests are cancelled, with ErrDrainTimeout as
//     their cause. Incomplete responses are aborted, so clients do not mistake
//     them for complete ones. A connection that waits for its client, because a
//     body was not sent or a response is not read, is closed and is not a failure;
//  4. closing: the remaining connections are closed;
//  5. hooks: the functions of [Service.Defer] run, in reverse order. Those of
//     [Service.Release] run before, if a successor waits for it.
//
// As soon as nothing is left of one phase the next starts. Nothing is polled,
// and the process is gone within a millisecond or two of its last response. The
// status shows what the drain is waiting for, older generations included. The
// service manager gets the same once a second, in one line:
//
//	generation 7, finishing: 12 requests, 4 streams, 21 s left;
//	generation 6 draining: 1 request, 3 s left
//
// During a drain a client that has sent a part of a request line or header, or
// of a TLS handshake, and then nothing for five seconds, is disconnected. One
// that goes on sending is waited for. A client that has stopped sending a body
// or reading a response is waited for as well. The limit is 15 seconds where no
// work is left and no successor serves: on a restart, and in place, all other
// clients wait for it.
//
// A second signal to stop means now.
//
// # In place
//
// Outside of a service manager another program waits for this very process: a
// shell, a container engine, a supervisor. A reload there keeps the process and
// replaces the program in it ([Exec]). It does so as well where NOTIFY_SOCKET
// is set, but the program that listens there is not known to follow another
// main process: see [Auto].
//
// Requests in flight are finished first. Connections and listeners are kept,
// and clients wait, in the worst case as long as the slowest request takes.
// heirloom checks that the new program exists and is executable before it
// releases anything. If the new program cannot be executed after all, the old
// one goes on. A new program that starts and then fails takes the service with
// it, which a successor alongside the process would not. A signal to stop that
// comes in the millisecond of the change itself ends the process at once.
//
// # What moves, and what does not
//
// Connections that net/http serves as plain HTTP/1.1 over TCP or a Unix stream
// socket move. They do so at rest only: when the server waits for a request and
// has not read a byte of it. Bytes that the client has sent by then are in the
// kernel, where the successor finds them. net/http's own Shutdown closes such
// connections, and breaks the requests that are on their way (golang/go issues
// 75591 and 65802).
//
// The clocks move along. IdleTimeout is counted from when the connection became
// idle. ReadHeaderTimeout of a connection without a request is counted from
// when it was accepted. Their values are those of the process that the
// connection moved to. A request that came while the connection was on its way
// came in time. Blank lines before a request are ignored, as RFC 9112 has it.
//
// TLS and HTTP/2 connections have a state inside the process and do not move,
// except that with [Options].MoveTLS those of HTTP/1.1 over TLS 1.3 do. Of the
// others the next response of HTTP/1.1 over TLS says Connection: close, and
// connections that stay idle are closed after [Options].Linger. HTTP/2
// connections, with TLS or without, get GOAWAY in the two steps of RFC 9113, so
// that no request is lost that crosses it. net/http's own Shutdown sends it in
// one step (internal/goaway). Handlers that might go on for ever, of long polls
// and server-sent events, watch [Service.Draining].
//
// Connections of other protocols move if their handler says where they stand:
// see [Service.ServeStreams], [Service.ServeStreamsTLS], and [Service.Hijack] for
// those that started as HTTP, such as WebSockets. A connection that was hijacked
// otherwise stays, and is waited for until its handler closes it. Servers that
// are not net/http's, such as gRPC's, are told to finish by their own methods:
// see [Service.Serve]. A process can also pass state by name: see
// [Service.PassState].
// Frameworks that call Serve of an http.Server by themselves are for
// [Service.HTTPBy].
//
// Connections are served through a type of this package that embeds
// *net.TCPConn or *net.UnixConn: a handler that hijacks one gets that type. A
// request costs a few atomic loads and stores more than with net/http alone, as
// does each change of the connection's state. It costs no lock, no allocation
// and no goroutine.
//
// # Datagrams
//
// UDP and Unix datagram sockets are shared by all generations, with the one
// queue of the kernel: see [Service.ListenPacket] and [Service.ServePacket].
// The next generation reads alongside this one until this one drains, and then
// alone. No datagram that has reached the socket is lost, and none is answered
// twice. Datagrams that a process had read when it was killed are lost.
//
// # Health, figures, and signals for operators
//
// [Service.Readiness] and [Service.Liveness] are handlers for a load balancer
// and a supervisor. [Service.Status] has the figures, and the module
// [github.com/heirloom-go/heirloom/prometheus] collects them. Under
// WatchdogSec= the main process sends systemd its watchdog messages as long as
// [Options].Health passes, across reloads and drains, with nothing to be done
// by the program.
//
// SIGUSR1 writes the stacks of all goroutines to the log, and a signal of
// [Options].ProfileSignals starts and stops profiles.
//
// # Service managers
//
// Under systemd, listeners come from socket units by the names that
// FileDescriptorName= gives them. Readiness, reloads, the main process and the
// end are reported with sd_notify. Type=notify and Type=notify-reload work,
// with NotifyAccess=main. The successor is a child of the service manager, so
// its exit is noticed at once.
//
// On systems other than Linux a Service binds, serves and drains, and a reload
// fails with errors.ErrUnsupported. On Windows os.Interrupt ends the process,
// and no other signal does anything by default.
package lifecycle
